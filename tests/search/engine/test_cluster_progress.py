"""A search in which nothing runs and nothing starts does not wait for ever."""

from types import SimpleNamespace

import pytest

from search.cluster.cluster_watch import ClusterWatch
from search.core.errors import ClusterLostError
from search.engine.attempt_table import AttemptTable
from search.engine.cluster_progress import ClusterProgress


class IdleSearch:
    """A search of two attempts, with a clock that only the test moves."""

    def __init__(self, shared=False, pending=0):
        self.now = 0.0
        self.watch = ClusterWatch(shared=shared, stall_seconds=60)
        self.attempts = AttemptTable()
        self.slots = 2
        self.progress = ClusterProgress(
            self.watch, self.attempts, lambda: self.slots, clock=lambda: self.now
        )
        actors = SimpleNamespace(num_pending_actors=pending, num_live_actors=0)
        self.tune = SimpleNamespace(_actor_manager=actors)

    def hand_out(self, tune_id, actor=None):
        self.attempts.add(tune_id, tune_id, 1)
        state = SimpleNamespace(ray_actor=actor)
        self.attempts.attach(SimpleNamespace(trial_id=tune_id, temporary_state=state))

    def pass_time(self, seconds, step=1.0):
        for _ in range(int(seconds / step)):
            self.now += step
            self.progress.check(self.tune)


def test_attempts_that_do_not_start_while_none_runs_are_a_lost_cluster():
    search = IdleSearch()
    search.pass_time(1000)  # nothing is handed out yet
    search.hand_out("a")
    search.pass_time(60)
    with pytest.raises(ClusterLostError, match="no trial has started for 61 s, and none runs"):
        search.pass_time(2)


def test_as_long_as_one_works_the_others_may_wait():
    search = IdleSearch()
    search.hand_out("works", actor=object())
    search.hand_out("waits")
    search.pass_time(1000)
    search.attempts.remove("works")
    search.pass_time(60)
    with pytest.raises(ClusterLostError):
        search.pass_time(2)


def test_a_cluster_without_room_is_waited_for():
    search = IdleSearch()
    search.hand_out("a")
    search.slots = 0
    search.pass_time(1000)
    search.slots = 1
    search.pass_time(60)
    assert search.watch.loss == ""


def test_what_others_use_of_a_shared_cluster_is_waited_for_and_a_process_that_never_comes_is_not():
    search = IdleSearch(shared=True, pending=1)
    search.hand_out("a")
    search.pass_time(1000)
    search.tune._actor_manager = SimpleNamespace(num_pending_actors=0, num_live_actors=1)
    with pytest.raises(ClusterLostError):
        search.pass_time(62)


def test_a_head_of_our_own_is_nobody_elses():
    search = IdleSearch(pending=1)
    search.hand_out("a")
    with pytest.raises(ClusterLostError):
        search.pass_time(62)


def test_time_in_which_the_driver_was_away_does_not_count():
    search = IdleSearch()
    search.hand_out("a")
    search.pass_time(4000, step=1000)  # four looks, 5 s each at most
    assert search.watch.loss == ""


def test_a_loss_that_the_watch_has_found_ends_the_search_at_the_next_step():
    search = IdleSearch()
    search.watch.report("the raylet has ended")
    with pytest.raises(ClusterLostError, match="the raylet has ended"):
        search.pass_time(1)
