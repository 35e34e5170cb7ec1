import math
from datetime import timedelta

from search.ledger.state import SearchState
from tests.support.scripted_search import ScriptedSearch


def test_a_state_told_at_once_equals_one_told_event_by_event():
    tale = ScriptedSearch()
    tale.train(tale.trial(), 1, 0.3)
    tale.train("t0001", 3, 0.2)
    assert SearchState.from_events(tale.events) == tale.state


def test_a_trial_runs_in_its_segment_and_rests_at_its_rung():
    tale = ScriptedSearch()
    tale.trial()
    trial = tale.state.trials["t0001"]
    assert (trial.state, trial.epoch, trial.rung, trial.last) == ("paused", 0, 0, None)
    tale.segment("t0001", 3)
    tale.report("t0001", 1, 0.4)
    tale.report("t0001", 2, 0.3)
    assert (trial.state, trial.epoch, trial.rung, trial.target) == ("running", 2, 1, 3)
    tale.report("t0001", 3, 0.35)
    assert (trial.state, trial.epoch, trial.rung) == ("paused", 3, 3)
    assert (trial.best().epoch, trial.last.epoch) == (2, 3)


def test_late_words_of_an_older_attempt_are_refused_and_counted():
    tale = ScriptedSearch()
    tale.segment(tale.trial(), 3)
    tale.crash("t0001")
    tale.report("t0001", 1, 0.4)
    tale.segment("t0001", 3)
    tale.report("t0001", 1, 0.9, attempt=1)
    tale.report("t0001", 1, 0.3)
    trial = tale.state.trials["t0001"]
    assert (trial.attempt, trial.at(1), tale.state.refused) == (2, 0.3, 2)
    tale.record("crash", trial="t0001", attempt=1, reason="late", counts=True)
    assert (trial.state, trial.crashes) == ("running", 1)


def test_an_epoch_counts_once():
    tale = ScriptedSearch()
    tale.segment(tale.trial(), 3)
    tale.report("t0001", 1, 0.4)
    tale.report("t0001", 1, 0.1)
    assert tale.state.trials["t0001"].at(1) == 0.4
    assert tale.state.repeated == 1


def test_an_attempt_that_a_dead_driver_took_along_is_no_crash_of_the_trial():
    tale = ScriptedSearch()
    tale.segment(tale.trial(), 1)
    tale.crash("t0001", "its driver died", counts=False)
    trial = tale.state.trials["t0001"]
    assert (trial.state, trial.crashes, trial.reason) == ("paused", 0, "its driver died")


def test_a_segment_after_an_end_revives_the_trial():
    tale = ScriptedSearch()
    tale.train(tale.trial(), 1, 0.3)
    tale.end("t0001", "stopped", "the search is over", "budget")
    assert tale.state.trials["t0001"].state == "stopped"
    tale.segment("t0001", 3)
    trial = tale.state.trials["t0001"]
    assert (trial.state, trial.reason, trial.ended_by, trial.epoch) == ("running", "", "", 1)


def test_no_result_that_is_not_a_number_is_ever_the_best():
    tale = ScriptedSearch()
    tale.segment(tale.trial(), 9)
    for epoch, value in enumerate([math.nan, math.inf, 0.5, 0.5], start=1):
        tale.report("t0001", epoch, value)
    trial = tale.state.trials["t0001"]
    assert trial.best().epoch == 3
    assert (trial.at(1), trial.at(2), trial.at(7)) == (math.inf,) * 3


def test_the_last_search_event_wins_and_moves_the_rungs():
    tale = ScriptedSearch(rungs=(1, 3, 10))
    tale.train(tale.trial(), 3, 0.3)
    tale.train("t0001", 10, 0.3)
    assert tale.state.trials["t0001"].rung == 10
    tale.record("search", rungs=[1, 3, 9, 27], trials=30)
    assert tale.state.trials["t0001"].rung == 9
    assert (tale.state.search.trials, tale.state.search.eta) == (30, 3)


def test_hours_are_those_of_drivers_and_not_of_the_nights_between():
    tale = ScriptedSearch()
    tale.now += timedelta(hours=1)
    tale.record("finish", reason="", totals={})
    tale.now += timedelta(hours=10)
    assert round(tale.state.spent_hours(tale.now), 2) == 1.0
    tale.record("promoted", trial="t0001")
    tale.record("driver", host="here", pid=2, started="0-2")
    tale.now += timedelta(hours=2)
    assert round(tale.state.spent_hours(tale.now), 2) == 3.0
    assert round(tale.state.spent_hours(), 2) == 1.0


def test_a_new_driver_forgets_that_the_last_one_was_stopped():
    tale = ScriptedSearch()
    tale.record("stop", trial=None, now=True, by="user")
    assert tale.state.search_stop == "now"
    tale.record("finish", reason="stopped", totals={})
    tale.record("driver", host="here", pid=2, started="0-2")
    assert (tale.state.search_stop, tale.state.finish) == ("", None)


def test_what_another_thread_walks_through_never_changes_size():
    tale = ScriptedSearch()
    tale.segment(tale.trial(), 3)
    trials, reports = tale.state.trials, tale.state.trials["t0001"].reports
    tale.report("t0001", 1, 0.3)
    tale.trial()
    assert (len(trials), len(reports)) == (1, 0)


def test_what_a_later_version_writes_is_kept():
    tale = ScriptedSearch()
    tale.record("promoted", trial="t0001")
    tale.record("evaluated", trial="t0001")
    tale.record("weather", sky="blue")
    assert [len(tale.state.promotions), len(tale.state.evaluations)] == [1, 1]
    assert [event.event for event in tale.state.other_events] == ["weather"]


def test_a_cut_and_a_failure_have_names():
    tale = ScriptedSearch()
    tale.trial()
    for kind in ("preempted", "out_of_memory", "preempted"):
        tale.segment("t0001", 3)
        tale.crash("t0001", kind=kind)
    trial = tale.state.trials["t0001"]
    assert (trial.interruptions, trial.last_interruption) == (
        {"preempted": 2, "out_of_memory": 1},
        "preempted",
    )
    tale.end("t0001", "failed", "too large", "failure", kind="out_of_memory")
    assert trial.failure == "out_of_memory"
    tale.segment("t0001", 3)
    assert (trial.failure, trial.last_interruption) == ("", "")


def test_an_older_ledgers_cuts_and_failures_are_told_by_their_words():
    tale = ScriptedSearch()
    tale.segment(tale.trial(), 3)
    tale.crash("t0001", "its driver ended", counts=False)
    tale.segment("t0001", 3)
    tale.crash("t0001", "interrupted by SIGTERM", counts=False)
    tale.segment("t0001", 3)
    tale.crash("t0001")
    trial = tale.state.trials["t0001"]
    assert trial.interruptions == {"driver": 1, "stopped": 1, "crash": 1}
    words = ["diverged: loss is nan", "collapsed: all alike", "crashed 3 times: worker died"]
    for reason in words:
        tale.end(tale.trial(), "failed", reason, "failure")
    named = [trial.failure for trial in tale.state.trials.values()]
    assert named == ["", "diverged", "collapsed", "crash"]


def test_what_others_write_between_two_drivers_costs_no_time():
    tale = ScriptedSearch()
    tale.record("driver", host="here", pid=2, started="0-2", uptime=0.0)
    tale.record("report_of_a_later_version", uptime=3600.0)
    tale.now += timedelta(hours=5)
    tale.record("stop", trial=None, now=False, by="user")
    tale.record("search", trials=48)
    assert round(tale.state.spent_hours(), 2) == 1.0
    assert round(tale.state.spent_hours(uptime=7200.0), 2) == 2.0


def test_holds_last_until_each_cause_is_gone_or_a_driver_begins():
    tale = ScriptedSearch()
    tale.record("hold", cause="user", reason="paused by anna", by="anna")
    tale.record("hold", cause="disk", reason="1 GB free", by="watchdog")
    assert tale.state.holds == {"user": "paused by anna", "disk": "1 GB free"}
    tale.record("release", cause="disk", by="watchdog")
    tale.record("release", cause="storage", by="watchdog")
    assert tale.state.holds == {"user": "paused by anna"}
    tale.record("driver", host="here", pid=2, started="0-2")
    assert tale.state.holds == {}


def test_after_a_damaged_checkpoint_the_epochs_are_trained_again_from_the_one_before():
    tale = ScriptedSearch()
    tale.train(tale.trial(), 3, 0.3)
    trial = tale.state.trials["t0001"]
    tale.damage("t0001", 3, from_epoch=2)
    assert (trial.epoch, trial.rung, trial.resume_point.epoch) == (2, 1, 2)
    assert trial.at(3) == math.inf
    tale.segment("t0001", 3)
    tale.report("t0001", 3, 0.25)
    assert (trial.at(3), trial.rung, trial.resume_point.epoch) == (0.25, 3, 3)
    assert (tale.state.repeated, tale.state.refused) == (0, 0)
    assert SearchState.from_events(tale.events) == tale.state


def test_what_was_measured_stands_when_its_checkpoint_is_removed():
    tale = ScriptedSearch()
    tale.train(tale.trial(), 3, 0.3)
    tale.remove("t0001", 1, 2)
    trial = tale.state.trials["t0001"]
    assert (trial.at(1), trial.epoch, trial.resume_point.epoch) == (0.3, 3, 3)
    assert tale.state.checkpoint_bytes == 1000
    tale.damage("t0001", 3, from_epoch=0)
    assert (trial.resume_point, trial.epoch) == (None, 0)


def test_checkpoints_of_epochs_that_are_trained_again_use_disk_until_they_are_removed():
    tale = ScriptedSearch()
    tale.train(tale.trial(), 3, 0.3)
    tale.damage("t0001", 2, from_epoch=1)
    trial = tale.state.trials["t0001"]
    assert [report.epoch for report in trial.superseded] == [2, 3]
    assert tale.state.checkpoint_bytes == 3000
    names = [report.checkpoint for report in trial.superseded]
    tale.record("removed", trial="t0001", checkpoints=names, bytes=2000)
    assert (trial.superseded, tale.state.checkpoint_bytes) == ((), 1000)


def _lost(*more, restart=1):
    """A search that somebody has paused and stopped, and whose driver loses its cluster."""
    tale = ScriptedSearch()
    tale.record("hold", cause="user", reason="paused by anna", by="anna")
    tale.record("hold", cause="disk", reason="the disk is full", by="driver")
    tale.record("stop", trial=None, now=False, by="anna")
    tale.record("cluster_lost", reason="Ray's raylet has ended", restart=restart)
    for event, fields in more:
        tale.record(event, **fields)
    return tale


def test_a_driver_that_begins_anew_by_itself_goes_on_with_what_was_asked_of_it():
    state = _lost().state
    assert (state.cluster_loss.reason, state.cluster_loss.restart) == ("Ray's raylet has ended", 1)
    again = {"host": "here", "pid": 1, "started": "0-1", "restart": 1}
    state = _lost(("driver", again)).state
    assert state.cluster_loss is None
    assert state.holds == {"user": "paused by anna"}
    assert state.search_stop == "stop"
    assert len(state.sessions) == 2


def test_a_driver_that_somebody_launches_begins_without_the_orders_of_the_one_before():
    launched = {"host": "here", "pid": 2, "started": "0-2"}
    state = _lost(("driver", launched), restart=0).state
    assert (state.cluster_loss, state.holds, state.search_stop) == (None, {}, "")
