"""Clusters that no search is brought to: open to everybody, or with machines that share nothing."""

import json

import pytest

from tests.cluster import ray_hosts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def open_cluster(network):
    """A head and a worker that ask for no token."""
    hosts = [network.host(name, RAY_AUTH_MODE="disabled") for name in ("open-head", "open-worker")]
    ray_hosts.wait_started(ray_hosts.start_head(hosts[0]))
    ray_hosts.wait_started(ray_hosts.join(hosts[1], hosts[0]))
    yield hosts
    for host in hosts:
        host.power_off()


def _launch(storage, head, name, tracking, *flags):
    options = {"trials": 1, "max_epochs": 1, "tracking_uri": tracking}
    address = ray_hosts.address_of(head)
    return [*storage.launch(storage.quick_space, name, address=address, **options), *flags]


def test_an_open_cluster_gets_no_search_unless_somebody_insists(
    open_cluster, storage, tracking, figure
):
    head, _ = open_cluster
    refused = head.run(*_launch(storage, head, "open", tracking))
    assert refused.returncode == 3, refused.stderr
    assert "asks for no token" in refused.stderr
    assert head.address in refused.stderr
    assert not storage.search("open").events("driver")
    insisted = head.run(*_launch(storage, head, "open", tracking, "--insecure"))
    assert insisted.returncode == 0, insisted.stderr
    assert len(storage.search("open").assert_sound().trials) == 1
    figure("open cluster", launch_exits=3, launch_insecure_exits=0)


def test_the_doctor_calls_an_open_cluster_a_problem(open_cluster, figure):
    head, worker = open_cluster
    doctor = ("python", "-m", "search", "doctor", "--address", ray_hosts.address_of(head))
    found = head.run(*doctor, "--json")
    assert found.returncode == 3, found.stderr
    checks = json.loads(found.stdout)["checks"]
    problems = [check["name"] for check in checks if check["level"] == "problem"]
    assert problems == ["guard"]
    insisted = head.run(*doctor, "--json", "--insecure")
    assert insisted.returncode == 0, insisted.stdout
    looked_at = {check["machine"] for check in json.loads(insisted.stdout)["checks"]}
    assert {head.address, worker.address} <= looked_at
    figure("doctor", open_cluster_exits=3, insecure_exits=0, machines_looked_at=2)


def test_machines_that_do_not_share_the_storage_are_named_before_anything_starts(
    open_cluster, storage, tracking, figure
):
    head, worker = open_cluster
    command = _launch(storage, head, "apart", tracking, "--insecure")
    refused = head.run(*command, SPKSEARCH_HOME="/dev/shm/home")
    assert refused.returncode == 3, refused.stderr
    assert worker.address in refused.stderr
    assert "does not share the storage" in refused.stderr
    left = head.run("find", "/dev/shm/home", "-name", "ledger.jsonl").stdout.split()
    assert not any("segment" in head.run("cat", path).stdout for path in left)
    figure("storage that is not shared", launch_exits=3)
