"""A head and two workers with token authentication: one search, whatever the number of hosts."""

import json
from pathlib import Path

import pytest

from tests.cluster import ray_hosts
from tests.cluster.programs import wait_for
from tests.cluster.searches import drive, seconds_between

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

TRIALS = 12


@pytest.fixture(scope="module")
def hosts_of_cluster(network, secured):
    """The head, which trains nothing, and two workers with a processor each."""
    hosts = [network.host(name, **secured) for name in ("head", "worker-1", "worker-2")]
    head, *workers = hosts
    ray_hosts.wait_started(ray_hosts.start_head(head, "--include-dashboard=true"))
    ray_hosts.wait_started(*(ray_hosts.join(worker, head) for worker in workers))
    yield hosts
    for host in hosts:
        host.power_off()


def test_twelve_trials_over_two_workers_train_as_they_do_on_one_host(
    hosts_of_cluster, storage, tracking, network, figure
):
    head, *workers = hosts_of_cluster
    options = {
        "trials": TRIALS,
        "max_epochs": 3,
        "finalists": TRIALS,
        "seed": 3,
        "tracking_uri": tracking,
    }
    address = ray_hosts.address_of(head)
    driver = drive(head, storage.launch(storage.quick_space, "three", address=address, **options))
    busy = set()

    def watched():
        busy.update(worker.name for worker in workers if worker.processes(ray_hosts.TRAINING))
        return not driver.running

    wait_for(watched, 120, "the search on three hosts")
    assert driver.wait(1) == 0, driver.tail()
    assert busy == {worker.name for worker in workers}
    assert not head.processes(ray_hosts.TRAINING)
    three = storage.search("three")
    state = three.assert_sound()
    assert len(state.trials) == TRIALS

    alone = network.host("alone")
    again = storage.launch(storage.quick_space, "one", **options)
    answer = alone.run(*again, "--warm-start=three", f"--warm-start-trials={TRIALS}")
    alone.power_off()
    assert answer.returncode == 0, answer.stderr
    one = storage.search("one")
    one.assert_sound()
    assert three.curves() == one.curves()
    assert {len(curve) for curve in three.curves().values()} == {3}

    events = three.events()
    figure(
        "three hosts",
        trials=TRIALS,
        epochs=len(three.events("report")),
        curves_that_differ_from_one_host=0,
        seconds=seconds_between(events[0].time, events[-1].time),
    )


def test_a_second_launch_of_a_name_from_another_host_names_the_first(
    hosts_of_cluster, storage, tracking, figure
):
    head, worker, _ = hosts_of_cluster
    command = storage.launch(
        storage.slow_space,
        "twice",
        address=ray_hosts.address_of(head),
        trials=4,
        tracking_uri=tracking,
    )
    search = storage.search("twice")
    first = drive(head, command, "first")
    search.wait_reports(1, first)
    second = worker.run(*command)
    assert second.returncode == 3, second.stderr
    assert f"process {first.pid_inside} on head" in second.stderr
    assert first.running
    stopped = worker.run("python", "-m", "search", "stop", "twice", "--now")
    assert stopped.returncode == 0, stopped.stderr
    assert first.wait(60) in (0, 4)
    assert len(search.events("driver")) == 1
    search.assert_sound()
    figure("two launches of one name", second_exits=second.returncode, drivers=1)


def test_the_jobs_api_and_joining_want_the_token(hosts_of_cluster, storage, network, figure):
    head, *_ = hosts_of_cluster
    jobs = "http://127.0.0.1:8265/api/jobs/"
    token = storage.token.read_text()
    codes = {
        "without": head.answers(jobs),
        "wrong": head.answers(jobs, {"Authorization": "Bearer " + "0" * len(token)}),
        "right": head.answers(jobs, {"Authorization": f"Bearer {token}"}),
    }
    assert codes == {"without": 401, "wrong": 403, "right": 200}
    assert network.answers(f"http://{head.address}:8265/") is None, "the dashboard is on loopback"
    stranger = network.host("stranger", RAY_AUTH_MODE="disabled")
    joining = ray_hosts.join(stranger, head)
    assert joining.wait(90) != 0
    assert not joining.says(ray_hosts.STARTED)
    assert "Unauthenticated" in joining.tail(200) or "AuthenticationError" in joining.tail(200)
    stranger.power_off()
    figure("token", **{f"jobs_api_{case}_token": code for case, code in codes.items()})


def test_a_launch_in_the_background_is_watched_and_stopped_from_a_desk_elsewhere(
    hosts_of_cluster, storage, tracking, network, figure
):
    head, *_ = hosts_of_cluster
    # The dashboard stays on the head's loopback; the desk has a forwarded port, as ssh makes one.
    script = str(Path(__file__).with_name("forward.py"))
    head.start("python", script, head.address, "8266", "8265", log="forward")
    jobs = f"http://{head.address}:8266"
    wait_for(lambda: network.answers(jobs) is not None, 20, "the forwarded port")
    desk = network.host("desk", RAY_API_SERVER_ADDRESS=jobs, **ray_hosts.with_token(storage.token))

    def spksearch(*words, seconds=120):
        return desk.run("python", "-m", "search", *words, seconds=seconds)

    command = storage.launch(
        storage.slow_space,
        "away",
        address=ray_hosts.address_of(head),
        trials=500,
        tracking_uri=tracking,
    )
    launched = desk.run(*command, "--detach")
    assert launched.returncode == 0, launched.stderr
    search = storage.search("away")
    wait_for(lambda: search.reports() >= 2, 120, "two epochs of the job")
    status = spksearch("status", "away", "--json")
    assert json.loads(status.stdout)["state"] == "running"
    logs = spksearch("logs", "away")
    assert "new best" in logs.stdout, logs.stderr
    assert spksearch("wait", "away", "--timeout", "1").returncode == 7
    stopped = spksearch("stop", "away")
    assert stopped.returncode == 0, stopped.stderr
    waited = spksearch("wait", "away", "--timeout", "60")
    assert waited.returncode == 0, waited.stderr
    assert json.loads(spksearch("status", "away", "--json").stdout)["state"] == "finished"
    state = search.assert_sound()
    assert search.events("driver")[0].host == head.name
    assert state.finish.reason == "asked to stop"
    desk.power_off()
    figure("launch --detach", wait_exits_running=7, wait_exits_stopped=0)
