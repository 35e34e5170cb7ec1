"""Give all cluster tests of a run one network, whose hosts the tests switch on and off."""

import os
from pathlib import Path

import pytest

from tests.cluster import hosts, measured, ray_hosts
from tests.cluster.programs import wait_for
from tests.cluster.searches import Storage

ROOT = Path(__file__).parents[2]
_LAST = "test_nothing_is_left.py"


def pytest_collection_modifyitems(items):
    """What is left is looked at when all else is done."""
    items.sort(key=lambda item: item.path.name == _LAST)


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Yield a bridge to which a test connects hosts."""
    if reason := hosts.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("network")
    storage = folder / "shared"
    environment = {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "SPKSEARCH_HOME": str(storage / "home"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    with hosts.Network(folder, ROOT, environment) as network:
        yield network


@pytest.fixture(scope="session")
def storage(network):
    """Return the folder that all hosts see: the corpus, the searches, the token."""
    return Storage(network.folder / "shared")


@pytest.fixture(scope="session")
def tracking(network):
    """Return the address of an MLflow server on a host of its own."""
    host = network.host("tracking", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    uri = f"http://{host.address}:5000"
    server = host.start(
        *("python", "-m", "mlflow", "server", "--host", "0.0.0.0", "--port", "5000"),
        *("--workers", "1", "--allowed-hosts", f"{host.address}:5000"),
        *("--backend-store-uri", f"sqlite:///{host.folder}/mlflow.db"),
        log="mlflow",
    )
    wait_for(lambda: network.answers(f"{uri}/health") == 200, 120, "the MLflow server")
    assert server.running, server.tail()
    return uri


@pytest.fixture(scope="session")
def secured(storage):
    """Return an environment with the cluster's token, for every host from now on."""
    return ray_hosts.with_token(storage.token)


@pytest.fixture
def figure(request):
    """Return a function that publishes what a test measured."""
    results = os.environ.get("SPKSEARCH_CLUSTER_RESULTS")
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def publish(claim, **values):
        with capture.global_and_fixture_disabled():
            request.config.get_terminal_writer().line(f"\n  {measured.line(claim, values)}")
        if results:
            measured.keep(Path(results), claim, values)

    return publish
