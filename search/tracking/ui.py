"""Open the MLflow page on the right store, brought up to date from the ledgers."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from search.core.errors import EnvironmentSetupError
from search.core.paths import existing_ledger, home, ledger_path, list_searches
from search.core.redact import HIDDEN, redact, strip_credentials
from search.ledger.ledger import Ledger
from search.tracking import server as mlflow_server
from search.tracking import server_access, sync, ui_view
from search.tracking.client_settings import client_settings

_POLL_SECONDS = 1.0


def serve(name: str | None, *, port: int | None = None, say: Callable[[str], None]) -> None:
    """Print the address and keep the server up until Ctrl-C; one elsewhere is left alone.

    Args:
        name: the search whose trials the page opens on; None: all experiments.
        port: of a new local server.
        say: takes each line for the user.

    Raises:
        NotFound: if there is no such search.
        EnvironmentSetupError: if the port is occupied or the server does not answer.
    """
    ledgers = (
        [existing_ledger(name)] if name is not None else [ledger_path(n) for n in list_searches()]
    )
    uri = tracking_uri(ledgers[0] if name is not None else None)
    if uri.startswith("http"):
        say_page(page(ledgers, name, uri, say), uri, say)
        return
    server = mlflow_server.start(port=port, store=uri or None)
    try:
        say("starting the MLflow server" if server.owned else "using the MLflow server that runs")
        server.wait_ready()
        # Those that record elsewhere are shown there, under their own names.
        here = [each for each in ledgers if name is not None or not recorded_uri(each)]
        say_page(page(here, name, server.uri, say), server.uri, say)
        say("Ctrl-C ends it" if server.owned else "it ends with the command that started it")
        _keep_up(server)
    except KeyboardInterrupt:
        say("ended")
    finally:
        server.stop()


def page(ledgers: list[Path], name: str | None, uri: str, say: Callable[[str], None]) -> str:
    """Deliver what the ledgers hold to the server, and return the address to open."""
    for ledger in ledgers:
        if not sync.catch_up(ledger, uri):
            say(f"MLflow at {redact(uri)} has not received all of {ledger.parent.name} yet")
    if name is None:
        return strip_credentials(uri)
    return ui_view.address(uri, experiment_of(ledgers[0], uri), name)


def say_page(address: str, uri: str, say: Callable[[str], None]) -> None:
    """Say the address; for our own server, also the file that lets its owner's browser in."""
    say(address)
    if server_access.is_own(uri, home()):
        _, mark, fragment = address.partition("#")
        path = server_access.write_start_page(home(), uri, mark + fragment)
        say(f"open this file in a browser, which it lets in: {path.as_uri()}")


def experiment_of(ledger: Path, uri: str) -> str:
    """Return the id of a search's experiment.

    Raises:
        EnvironmentSetupError: if the server does not answer, or does not know it.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    name = f"spksearch/{Ledger.open(ledger).state().search.space}"
    try:
        with client_settings(uri, ledger.absolute().parent.parent):
            experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name(name)
    except MlflowException as problem:
        raise EnvironmentSetupError(
            f"MLflow at {redact(uri)} does not answer: {redact(str(problem))}"
        ) from problem
    if experiment is None:
        raise EnvironmentSetupError(
            f"MLflow at {redact(uri)} has no experiment {name!r}; `spksearch doctor` checks it"
        )
    return str(experiment.experiment_id)


def tracking_uri(ledger: Path | None) -> str:
    """Return where MLflow is: by the environment, else the ledger; empty for the local store.

    Raises:
        EnvironmentSetupError: if credentials are needed, which no ledger holds.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or (recorded_uri(ledger) if ledger else "")
    if HIDDEN in uri:
        raise EnvironmentSetupError(
            f"the search records to {uri}; set MLFLOW_TRACKING_URI to this address with its "
            f"credentials, which are not kept anywhere"
        )
    return uri


def recorded_uri(ledger: Path) -> str:
    """Return the tracking address that a ledger records; empty for the local store."""
    return Ledger.open(ledger).state().search.tracking_uri or ""


def _keep_up(server: mlflow_server.Server) -> None:
    """Keep a server up for ever; one whose command has ended is replaced, on the same port."""
    while True:
        time.sleep(_POLL_SECONDS)
        server.revive()
