"""One Ray for a whole test run, and homes that nobody else writes to."""

import os
from pathlib import Path

import hypothesis
import pytest

from search.cluster.connection import prepare_environment

# Before any test module imports Ray, which reads it once: without it Ray listens everywhere.
prepare_environment()

# `make test` is the same every day; `make test-slow` takes the profile that draws anew.
hypothesis.settings.register_profile("drawn", derandomize=False)
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")

_ROOT = Path(__file__).parents[1]

_NEEDS_BOTH_CORES = ("ray", "slow", "browser")
"""Tests that are marked so start processes of their own, or wait for them."""


def pytest_collection_modifyitems(items):
    """Mark what does not run beside other tests: `make test` runs it in a second, serial part."""
    for item in items:
        starts_a_server = "tests/search/tracking/" in item.nodeid
        needs_both = any(item.get_closest_marker(name) for name in _NEEDS_BOTH_CORES)
        if needs_both or starts_a_server or "local_ray" in item.fixturenames:
            item.add_marker("serial")


@pytest.fixture
def spksearch_home(tmp_path, monkeypatch):
    """An empty `$SPKSEARCH_HOME`."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SPKSEARCH_HOME", str(home))
    return home


@pytest.fixture(scope="session", autouse=True)
def node_cache(tmp_path_factory):
    """A cache of this node that ends with the tests: packed ambiences and rooms lie there."""
    if "SPKSEARCH_CACHE" not in os.environ:
        os.environ["SPKSEARCH_CACHE"] = str(tmp_path_factory.mktemp("node-cache"))


@pytest.fixture(scope="session")
def local_ray():
    """The address of a local Ray with two processors, to which this process is connected."""
    # Workers unpickle classes by the name of their module.
    os.environ["PYTHONPATH"] = str(_ROOT)
    os.environ["RAY_AUTH_MODE"] = "disabled"  # the token is for clusters that others can reach
    import ray

    context = ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 << 20,
    )
    yield context.address_info["gcs_address"]
    ray.shutdown()
