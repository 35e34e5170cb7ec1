"""The head's control service dies, and the head with all that is on it."""

import itertools
import os
import shutil
import signal
import time

import pytest

from tests.cluster import ray_hosts
from tests.cluster.programs import wait_for
from tests.cluster.searches import drive, seconds_between

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

GCS = "gcs/gcs_server"
PASSWORD = "of-a-test"
TRAINING_OPTIONS = {"trials": 6, "max_epochs": 9, "seed": 1}


def _cluster(network, secured, head, *workers):
    """A head and its workers, started."""
    hosts = [network.host(name, **secured) for name in (head, *workers)]
    _start(*hosts)
    return hosts


def _start(head, *workers):
    ray_hosts.wait_started(ray_hosts.start_head(head))
    ray_hosts.wait_started(*(ray_hosts.join(worker, head) for worker in workers))


def _command(storage, name, head, tracking):
    address = ray_hosts.address_of(head)
    options = {"address": address, "tracking_uri": tracking, **TRAINING_OPTIONS}
    return storage.launch(storage.slow_space, name, **options)


def _assert_nothing_lost(search, before):
    """Every trial and every epoch of that time is there still, and the search has ended."""
    state = search.assert_sound()
    assert len(state.trials) == TRAINING_OPTIONS["trials"]
    for name, trial in before.trials.items():
        assert state.trials[name].signature == trial.signature
        assert state.trials[name].reports.items() >= trial.reports.items()
    return state


@pytest.fixture(scope="module")
def lost_head(network, secured, storage, tracking):
    """A search whose head is gone, launched again on another one.

    That launch waits until the lost driver's lease has run out, and may do so while other tests
    run.
    """
    first, *orphans = _cluster(network, secured, "first-head", "orphan-1", "orphan-2")
    search = storage.search("orphaned")
    driver = drive(first, _command(storage, search.name, first, tracking))
    search.wait_reports(4, driver)
    killed = time.time()
    first.power_off()
    before = search.state()
    for orphan in orphans:
        orphan.power_off()
    second, *adopted = _cluster(network, secured, "second-head", "adopted-1", "adopted-2")
    up = time.time()
    driver = drive(second, _command(storage, search.name, second, tracking))
    yield search, before, killed, up, driver
    for host in (second, *adopted):
        host.power_off()


@pytest.fixture(params=["rocksdb", "redis"])
def lasting(request, network, secured):
    """A head whose control service keeps its tables elsewhere, as (name, host, how to start it)."""
    kind = request.param
    if kind == "rocksdb":
        tables = network.folder / "rocksdb"
        head = network.host("lasting-rocksdb", **secured)
        settings = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(tables)}
        yield kind, head, [], settings
    else:
        if shutil.which("redis-server") is None:
            pytest.skip("needs redis-server (Debian: redis-server)")
        store = network.host("redis")
        redis = store.start(
            *("redis-server", "--port", "6379", "--bind", store.address, "--save", ""),
            *("--appendonly", "no", "--requirepass", PASSWORD, "--dir", str(store.folder)),
            log="redis",
        )
        wait_for(lambda: redis.says("Ready to accept connections"), 20, "redis")
        head = network.host("lasting-redis", **secured)
        settings = {
            "RAY_REDIS_ADDRESS": f"{store.address}:6379",
            "RAY_external_storage_namespace": "rig",
        }
        yield kind, head, [f"--redis-password={PASSWORD}", "--include-dashboard=false"], settings
        store.power_off()
    head.power_off()


@pytest.mark.usefixtures("lost_head")
def test_the_control_service_is_restarted_and_the_search_goes_on(
    lasting, network, secured, storage, tracking, figure
):
    kind, head, options, settings = lasting
    started = ray_hosts.start_head(head, *options, **settings)
    ray_hosts.wait_started(started)
    workers = [network.host(f"{kind}-{number}", **secured) for number in (1, 2)]
    ray_hosts.wait_started(*(ray_hosts.join(worker, head) for worker in workers))
    # On the head, the driver would die with the head's raylet, which ends when its GCS does.
    driver = drive(workers[0], _command(storage, f"lasting-{kind}", head, tracking))
    search = storage.search(f"lasting-{kind}")
    search.wait_reports(4, driver)

    (service,) = head.processes(GCS)
    killed = time.time()
    os.kill(service, signal.SIGKILL)
    started.wait(60)
    again = ray_hosts.start_head(head, *options, **settings)
    ray_hosts.wait_started(again)
    back = time.time()

    def after():
        return [e for e in search.events("report") if seconds_between(back, e.time) > 0]

    wait_for(lambda: after() or not driver.running, 120, "the next epoch")
    assert driver.running or driver.wait(1) == 0, driver.tail()
    first = after()[0]
    assert driver.wait(200) == 0, driver.tail()
    state = search.assert_sound()
    assert len(state.trials) == TRAINING_OPTIONS["trials"]
    assert len(search.events("driver")) == 1, "the driver went through it"
    during = [e for e in search.events("report") if seconds_between(killed, e.time) > 0]
    figure(
        f"GCS killed, {kind}",
        back_seconds=seconds_between(killed, back),
        next_epoch_seconds=seconds_between(killed, first.time),
        longest_silence_seconds=max(
            seconds_between(a.time, b.time) for a, b in itertools.pairwise(during)
        ),
        attempts_cut=len(search.events("crash")),
        drivers=1,
    )
    for worker in workers:
        worker.power_off()


def test_without_lasting_tables_the_same_command_goes_on_in_the_restarted_cluster(
    network, secured, storage, tracking, figure
):
    names = ("fragile", "fragile-1", "fragile-2")
    hosts = _cluster(network, secured, *names)
    search = storage.search("fragile")
    command = _command(storage, search.name, hosts[0], tracking)
    driver = drive(hosts[0], command)
    search.wait_reports(4, driver)
    before = search.state()
    (service,) = hosts[0].processes(GCS)
    killed = time.time()
    os.kill(service, signal.SIGKILL)
    for host in hosts:
        host.run("ray", "stop", "--force")  # sees that host's processes alone
    assert driver.wait(120) != 0
    ended = time.time()
    _start(*hosts)
    again = drive(hosts[0], command)
    assert again.wait(150) == 0, again.tail()
    state = _assert_nothing_lost(search, before)
    assert len(search.events("driver")) == 2
    reports = [e for e in search.events("report") if seconds_between(ended, e.time) > 0]
    figure(
        "GCS killed, tables in memory",
        driver_ended_seconds=seconds_between(killed, ended),
        next_epoch_seconds=seconds_between(killed, reports[0].time),
        epochs_lost=0,
        trials=len(state.trials),
    )
    for host in hosts:
        host.power_off()


def test_a_lost_head_costs_nothing_that_was_recorded(lost_head, figure):
    search, before, killed, up, driver = lost_head
    assert driver.wait(280) == 0, driver.tail()
    _assert_nothing_lost(search, before)
    drivers = [event.host for event in search.events("driver")]
    assert drivers == ["first-head", "second-head"]
    again = next(e for e in search.events("report") if seconds_between(up, e.time) > 0)
    figure(
        "head lost",
        new_cluster_seconds=seconds_between(killed, up),
        next_epoch_seconds=seconds_between(killed, again.time),
        epochs_lost=0,
    )
