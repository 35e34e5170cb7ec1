"""Workers that die, join, and are cut off and come back, under one search that goes on."""

import time

import pytest

from tests.cluster import ray_hosts
from tests.cluster.programs import wait_for
from tests.cluster.searches import drive, seconds_between

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(network, secured):
    """The head and its first two workers, by name."""
    head = network.host("steady", **secured)
    workers = [network.host(name, **secured) for name in ("doomed", "wandering")]
    ray_hosts.wait_started(ray_hosts.start_head(head, **ray_hosts.QUICK_HEALTH))
    ray_hosts.wait_started(*(ray_hosts.join(worker, head) for worker in workers))
    hosts = {host.name: host for host in (head, *workers)}
    yield hosts
    for host in hosts.values():
        host.power_off()


@pytest.fixture(scope="module")
def night(cluster, storage, tracking):
    """A search that would take hours, and its driver on the head."""
    command = storage.launch(
        storage.slow_space,
        "night",
        address=ray_hosts.address_of(cluster["steady"]),
        trials=500,
        max_epochs=27,
        tracking_uri=tracking,
    )
    driver = drive(cluster["steady"], command)
    search = storage.search("night")
    search.wait_reports(4, driver)
    return search, driver


def _crashes(search, since):
    """What was cut after a moment."""
    crashes = search.events("crash")
    return [crash for crash in crashes if seconds_between(since, crash.time) >= 0]


def _resumed(search, crash):
    """The segment that took a trial up again, and its first report; None before."""
    after = [
        event
        for event in search.events("segment", "report")
        if event.trial == crash.trial and event.attempt > crash.attempt
    ]
    segments = [event for event in after if event.event == "segment"]
    reports = [event for event in after if event.event == "report"]
    return (segments[0], reports[0]) if reports else None


def _epochs_before(search, crash):
    return max(
        (
            event.epoch
            for event in search.events("report")
            if event.trial == crash.trial and event.attempt <= crash.attempt
        ),
        default=0,
    )


def _assert_resumed_from_checkpoint(search, crash):
    assert (crash.kind, crash.counts) == ("lost_node", False), crash
    segment, report = _resumed(search, crash)
    assert segment.from_epoch == _epochs_before(search, crash)
    assert report.epoch == segment.from_epoch + 1
    return segment, report


def test_trials_of_a_killed_worker_go_on_elsewhere_from_their_checkpoints(cluster, night, figure):
    search, driver = night
    doomed = cluster["doomed"]
    wait_for(lambda: doomed.processes(ray_hosts.TRAINING), 60, "a trial on the worker")
    killed = time.time()
    doomed.power_off()
    wait_for(lambda: _crashes(search, killed), 60, "the lost worker to be noticed")
    crash = _crashes(search, killed)[0]
    wait_for(lambda: _resumed(search, crash) or not driver.running, 90, "the trial to go on")
    assert driver.running, driver.tail()
    segment, report = _assert_resumed_from_checkpoint(search, crash)
    figure(
        "worker killed",
        noticed_seconds=seconds_between(killed, crash.time),
        resumed_seconds=seconds_between(killed, segment.time),
        next_epoch_seconds=seconds_between(killed, report.time),
        epochs_lost=0,
    )


def test_a_worker_that_joins_is_used_within_twenty_seconds(
    cluster, night, network, secured, figure
):
    _, driver = night
    newcomer = cluster["newcomer"] = network.host("newcomer", **secured)
    joining = ray_hosts.join(newcomer, cluster["steady"])
    ray_hosts.wait_started(joining)
    seconds = wait_for(
        lambda: newcomer.processes(ray_hosts.TRAINING), 60, "a trial on the new worker"
    )
    assert driver.running, driver.tail()
    figure("worker joins", used_after_seconds=round(seconds, 1))
    assert seconds < 20


def test_a_worker_cut_off_and_back_writes_no_epoch_twice(cluster, night, figure):
    search, driver = night
    wandering = cluster["wandering"]
    wait_for(lambda: wandering.processes(ray_hosts.TRAINING), 60, "a trial on the worker")
    cut = time.time()
    wandering.unplug()
    wait_for(lambda: _crashes(search, cut), 60, "the cut-off worker to be noticed")
    crash = _crashes(search, cut)[0]
    wait_for(lambda: _resumed(search, crash) or not driver.running, 90, "the trial to go on")
    assert driver.running, driver.tail()
    still_training = len(wandering.processes(ray_hosts.TRAINING))
    wandering.plug()
    gone = wait_for(
        lambda: not wandering.processes(ray_hosts.TRAINING), 60, "the old attempt to end"
    )
    segment, report = _assert_resumed_from_checkpoint(search, crash)

    folder = search.folder / "trials" / crash.trial
    written = {path.name for path in folder.glob(f"epoch*-attempt{crash.attempt}")}
    known = {event.checkpoint.rpartition("/")[2] for event in search.events("report")}
    reports = [(event.trial, event.epoch) for event in search.events("report")]
    assert len(reports) == len(set(reports))

    back = ray_hosts.join(wandering, cluster["steady"])
    ray_hosts.wait_started(back)
    used = wait_for(
        lambda: wandering.processes(ray_hosts.TRAINING), 60, "a trial on the worker come back"
    )
    figure(
        "worker cut off and back",
        noticed_seconds=seconds_between(cut, crash.time),
        next_epoch_seconds=seconds_between(cut, report.time),
        still_training_when_noticed=still_training,
        checkpoints_nobody_uses=len(written - known),
        old_attempt_ended_after_seconds=round(gone, 1),
        used_again_after_seconds=round(used, 1),
        double_writers=0,
    )
    assert segment.attempt > crash.attempt


def test_the_search_is_stopped_from_a_worker_and_every_epoch_is_there_once(cluster, night):
    search, driver = night
    stopped = cluster["wandering"].run("python", "-m", "search", "stop", search.name, "--now")
    assert stopped.returncode == 0, stopped.stderr
    assert driver.wait(60) == 0, driver.tail()
    state = search.assert_sound()
    assert state.finish is not None
    assert not any(trial.live for trial in state.trials.values())
