"""Whether a cluster is lost is found out on a thread of its own, and acted on once."""

import logging
import threading

import pytest

from search.cluster import cluster_watch
from search.cluster.cluster_watch import ClusterWatch, ControlService
from search.cluster.local_head import LocalHead


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_loss_is_acted_on_once_while_the_main_thread_is_blocked(monkeypatch):
    monkeypatch.setattr(cluster_watch, "_POLL_SECONDS", 0.01)
    acted, told = threading.Event(), []

    def on_loss(reason):
        told.append((reason, threading.current_thread().name))
        acted.set()

    watch = ClusterWatch([lambda: "", lambda: "the raylet has ended"])
    with watch.running(on_loss):
        assert acted.wait(10)
        watch.report("no trial starts")
    assert told == [("the raylet has ended", "cluster-watch")]
    assert watch.loss == "the raylet has ended"


def test_after_the_search_nothing_is_lost_any_more():
    told = []
    watch = ClusterWatch([lambda: "the raylet has ended"])
    with watch.running(told.append):
        pass
    told.clear()
    watch.poll()
    assert told == []


def test_a_check_that_fails_says_nothing_and_is_logged_once(caplog):
    def fails():
        raise OSError("no such folder")

    watch = ClusterWatch([fails, lambda: ""])
    with caplog.at_level(logging.WARNING):
        watch.poll()
        watch.poll()
    assert watch.loss == ""
    assert [record.getMessage() for record in caplog.records] == [
        "the cluster cannot be watched: no such folder"
    ]


def test_a_driver_that_waits_for_ray_for_long_has_lost_its_cluster(monkeypatch):
    clock = Clock()
    watch = ClusterWatch(stall_seconds=60, clock=clock)
    monkeypatch.setattr(watch, "_is_blocked_in_ray", lambda: True)
    clock.now += 59
    watch.poll()
    assert watch.loss == ""
    watch.beat()
    clock.now += 59
    watch.poll()
    assert watch.loss == ""
    clock.now += 2
    watch.poll()
    assert watch.loss == "Ray has not answered for 60 s"


def test_a_driver_that_waits_for_its_storage_has_not():
    clock = Clock()
    watch = ClusterWatch(stall_seconds=60, clock=clock)
    clock.now += 1000
    watch.poll()  # this thread is in a test, and not in Ray
    assert watch.loss == ""


def test_a_control_service_counts_as_gone_after_40_s_without_an_answer():
    clock, answers = Clock(), [True]
    service = ControlService("10.0.0.1:6379", lambda _: answers[-1], clock)
    asked = []
    for _ in range(3):
        clock.now += 6
        assert service.find_silence() == ""
    answers.append(False)
    while not (silence := service.find_silence()):
        clock.now += 6
        asked.append(clock.now)
        assert len(asked) < 20
    assert silence == "the Ray head at 10.0.0.1:6379 has not answered for 42 s"
    answers.append(True)
    clock.now += 6
    assert service.find_silence() == ""


def test_a_process_that_was_suspended_has_not_heard_silence():
    clock = Clock()
    service = ControlService("10.0.0.1:6379", lambda _: False, clock)
    clock.now += 3600
    assert service.find_silence() == ""


@pytest.mark.parametrize(
    ("seconds", "fits"), [("", True), ("60", True), ("5", False), ("x", False)]
)
def test_the_patience_of_the_environment_is_a_number_of_seconds(seconds, fits, monkeypatch):
    from search.core.environment_seconds import read_seconds
    from search.core.errors import UsageError

    monkeypatch.setenv(cluster_watch.STALL, seconds)
    if fits:
        assert read_seconds(cluster_watch.STALL, 300, least=10) == float(seconds or 300)
        return
    with pytest.raises(UsageError, match="SPKSEARCH_STALL_SECONDS must be a number of seconds, 10"):
        read_seconds(cluster_watch.STALL, 300, least=10)


class EndedProcess:
    """A process that was killed; `LocalHead` asks it no more."""

    pid = 7

    def poll(self):
        return -9


def test_a_head_whose_raylet_has_ended_is_lost_before_the_watch_has_looked(tmp_path):
    watch = ClusterWatch(head=LocalHead({"raylet": EndedProcess()}, tmp_path))
    assert watch.loss == ""
    assert "raylet" in watch.find_loss()
    assert ClusterWatch().find_loss() == ""
