"""What a launch does without its cluster: begin anew three times, or say why it ends."""

import signal

import pytest

from search.cluster.cluster_watch import ClusterWatch
from search.core import restart
from search.core.restart import Handoff
from search.launch import cluster_loss
from search.launch.cluster_loss import ClusterLossHandler
from search.ledger.ledger import Ledger
from tests.support.events import append

RAYLET = "Ray's raylet on this machine (process 7) has ended (killed by SIGKILL)"
RESUME = "\n  spksearch launch made --name lost"


class FakeHead:
    def __init__(self):
        self.logs_kept_in = []

    def end(self, keep):
        self.logs_kept_in.append(keep)


class Launch:
    """A launch of a search with one trial, in a process that is not really replaced."""

    def __init__(self, folder, shared=False):
        self.ledger = Ledger.open(folder / "ledger.jsonl", write=True, search="lost")
        self.state = self.ledger.state()
        self.write("search")
        self.write("driver", pid=self.ledger.path.stat().st_size)
        self.write("trial", trial="t0001")
        self.watch = ClusterWatch(shared=shared, head=None if shared else FakeHead())
        self.said = []
        self.handler = ClusterLossHandler(self.ledger, self.state, self.watch, self.said.append)

    def write(self, event, **fields):
        self.state.apply(append(self.ledger, event, **fields))

    def record_epoch(self, epoch):
        self.write("segment", trial="t0001", attempt=epoch, to_rung=epoch)
        self.write("report", trial="t0001", attempt=epoch, epoch=epoch, metrics={"dev_eer": 0.2})

    def losses(self):
        return [
            (each.reason, each.restart)
            for each in self.ledger.events()
            if each.event == "cluster_lost"
        ]


@pytest.fixture
def replaced(monkeypatch):
    """What the process was told each time that it was replaced."""
    handed_on = []
    monkeypatch.setattr(restart, "is_allowed", lambda: True)
    monkeypatch.setattr(restart, "run_again", handed_on.append)
    monkeypatch.setattr(cluster_loss, "list_children", lambda: [8])
    return handed_on


def restarted(monkeypatch, number):
    monkeypatch.setattr(restart._program, "handoff", Handoff(number))


def test_the_first_loss_is_recorded_told_and_followed_by_a_new_head(tmp_path, replaced):
    launch = Launch(tmp_path)
    launch.handler(RAYLET)
    assert replaced == [Handoff(number=1, children=(8,))]
    assert launch.watch.head.logs_kept_in == [tmp_path / "ray-lost.log"]
    assert launch.losses() == [(RAYLET, 1)]
    assert launch.said == [
        f"{RAYLET}; Ray is started again, and the search goes on from what is recorded "
        "(restart 1, of 3 without an epoch in between); the last lines of its logs: "
        f"{tmp_path / 'ray-lost.log'}"
    ]
    launch.ledger.close()


@pytest.mark.parametrize(("before", "number"), [(1, 2), (2, 3)])
def test_without_an_epoch_in_between_restarts_are_counted(
    before, number, tmp_path, replaced, monkeypatch
):
    restarted(monkeypatch, before)
    launch = Launch(tmp_path)
    launch.handler(RAYLET)
    assert [each.number for each in replaced] == [number]
    launch.ledger.close()


def test_an_epoch_in_between_begins_the_count_anew(tmp_path, replaced, monkeypatch):
    restarted(monkeypatch, 3)
    launch = Launch(tmp_path)
    launch.record_epoch(1)
    launch.handler(RAYLET)
    assert [each.number for each in replaced] == [1]
    launch.ledger.close()


def test_after_three_restarts_without_an_epoch_the_launch_ends_and_says_how_to_resume(
    tmp_path, replaced, monkeypatch
):
    restarted(monkeypatch, 3)
    launch = Launch(tmp_path)
    launch.handler(RAYLET)
    (handoff,) = replaced
    assert (handoff.number, handoff.signal) == (0, 0)
    assert handoff.message.startswith(
        f"{RAYLET}; 3 restarts brought nothing, its last lines are in {tmp_path / 'ray-lost.log'};"
    )
    assert handoff.message.endswith(RESUME)
    assert launch.losses() == [(RAYLET, 0)]
    launch.ledger.close()


def test_a_cluster_of_others_is_neither_started_again_nor_ended(tmp_path, replaced):
    launch = Launch(tmp_path, shared=True)
    launch.handler("the Ray head at 10.0.0.1:6379 has not answered for 42 s")
    (handoff,) = replaced
    assert handoff.number == 0
    assert handoff.message.endswith(RESUME)
    launch.ledger.close()


def test_a_search_that_is_leaving_after_a_signal_ends_as_interrupted(tmp_path, replaced):
    launch = Launch(tmp_path)
    launch.watch.signal = signal.SIGTERM
    launch.handler(RAYLET)
    (handoff,) = replaced
    assert (handoff.number, handoff.signal) == (0, signal.SIGTERM)
    assert handoff.message.startswith("interrupted by SIGTERM, and Ray's raylet")
    launch.ledger.close()


def test_a_search_that_was_asked_to_stop_is_not_begun_anew(tmp_path, replaced):
    launch = Launch(tmp_path)
    launch.write("stop", trial=None, now=False, by="anna")
    launch.handler(RAYLET)
    (handoff,) = replaced
    assert handoff.number == 0
    assert "the search was asked to stop" in handoff.message
    launch.ledger.close()


def test_a_storage_that_hangs_does_not_hold_the_restart_up(tmp_path, replaced, monkeypatch):
    monkeypatch.setattr(cluster_loss, "_RECORD_SECONDS", 0.05)
    launch = Launch(tmp_path)
    with launch.ledger._turn:  # somebody waits for the disk
        launch.handler(RAYLET)
        assert [each.number for each in replaced] == [1]
        assert launch.losses() == []
    launch.ledger.close()


def test_in_a_process_that_may_not_be_replaced_the_session_ends_the_search(tmp_path):
    launch = Launch(tmp_path)
    launch.handler(RAYLET)
    assert launch.losses() == []
    launch.ledger.close()
