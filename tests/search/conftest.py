"""One MLflow server for a whole test run, and ledgers of searches that never ran."""

import os

import pytest

from search.tracking import server as servers
from tests.support import users_folder
from tests.support.ledger_on_disk import LedgerOnDisk

_SERVER = pytest.StashKey[servers.Server]()


def pytest_collection_finish(session):
    """Start the server while tests run that do not need it: it takes ten seconds and more."""
    wanted = any("mlflow_server" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly:
        folder = session.config._tmp_path_factory.mktemp("mlflow-home")
        users_folder.plant(folder)  # its working folder, which is a user's as well
        session.config.stash[_SERVER] = servers.start(folder)


def pytest_unconfigure(config):
    """End it, whether or not a test came to use it."""
    if (server := config.stash.get(_SERVER, None)) is not None:
        server.stop()


@pytest.fixture(scope="session")
def mlflow_server(request):
    """The server of the test run; a test that kills it revives it."""
    server = request.config.stash[_SERVER]
    server.wait_ready()
    # Tests name it by its address, from homes that are not its own: as a server of the user's.
    os.environ.update(server.client_environment())
    yield server
    for name in server.client_environment():
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def mlflow_server_home(mlflow_server):
    """The home folder that the server of the test run serves."""
    return mlflow_server.folder


@pytest.fixture
def ledger_on_disk(tmp_path):
    """A function from a search's name to its `LedgerOnDisk`, below `tmp_path`."""
    return lambda name, space=None: LedgerOnDisk(tmp_path, name, space)
