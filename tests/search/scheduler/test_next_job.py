"""What runs next, and how many trials want to run."""

from search.ledger.state import SearchState
from search.scheduler import rung_queries
from search.scheduler.asha import Advance
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.next_job import (
    MOST_WANTED,
    Done,
    NewTrial,
    Resume,
    StartQueued,
    Wait,
    choose_next_job,
    count_wanted_trials,
)
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_index import RungIndex
from tests.support.events import event_of
from tests.support.scripted_search import ScriptedSearch


def state_with(*events):
    state = SearchState()
    time = "2026-01-01T00:00:00+00:00"
    state.apply(event_of("search", time=time, rungs=[1, 3]))
    state.apply(event_of("driver", time=time))
    for kind, fields in events:
        state.apply(event_of(kind, time="2026-01-01T00:00:01+00:00", **fields))
    return state


def begun(name):
    fields = {"trial": name, "config": {}, "axes": {}, "distributions": {}, "signature": name}
    segment = {"trial": name, "attempt": 1, "from_epoch": 0, "to_rung": 1}
    return [("trial", fields | {"origin": "sampler"}), ("segment", segment)]


def test_what_runs_and_what_may_still_be_tried_is_wanted():
    policy = AshaPolicy(rungs=(1, 3), trials=5)
    assert count_wanted_trials(state_with(), policy) == 5
    assert count_wanted_trials(state_with(*begun("t0001")), policy) == 5
    assert count_wanted_trials(state_with(*begun("t0001")), AshaPolicy(rungs=(1, 3), trials=1)) == 1
    assert count_wanted_trials(state_with(), AshaPolicy(rungs=(1, 3), hours=2)) == MOST_WANTED


def test_on_hold_no_machine_is_asked_for_but_for_what_runs():
    policy = AshaPolicy(rungs=(1, 3), trials=5)
    paused = ("hold", {"cause": "user", "reason": "lunch", "by": "me"})
    shrunk = ("hold", {"cause": "cluster", "reason": "no room", "by": "driver"})
    assert count_wanted_trials(state_with(*begun("t0001"), paused), policy) == 1
    assert count_wanted_trials(state_with(*begun("t0001"), shrunk), policy) == 5
    stop = ("stop", {"trial": None, "now": False, "by": "me"})
    assert count_wanted_trials(state_with(*begun("t0001"), stop), policy) == 1


def test_a_search_begins_with_a_new_trial():
    assert choose_next_job(ScriptedSearch().state, ScriptedSearch().policy) == NewTrial(1)


def test_an_interrupted_trial_comes_before_one_that_may_advance():
    tale = ScriptedSearch()
    tale.train_new(0.3, 0.2, 0.1)
    tale.segment(tale.trial(), 1)
    tale.crash("t0004")
    assert choose_next_job(tale.state, tale.policy) == Resume("t0004", 1)


def test_a_trial_that_never_started_is_started():
    tale = ScriptedSearch()
    tale.trial()
    assert choose_next_job(tale.state, tale.policy) == Resume("t0001", 1)


def test_a_search_in_which_everything_crashes_gives_up_until_it_is_launched_again():
    tale = ScriptedSearch()
    for _ in range(3):
        trial = tale.trial()
        for _ in range(3):
            tale.segment(trial, 1)
            tale.crash(trial)
        tale.record_ends()
    assert choose_next_job(tale.state, tale.policy) == Done("the first 3 trials all crashed")
    tale.record("finish", reason="", totals={})
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)
    tale.record("driver", host="here", pid=2, started="0-2")
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)


def test_a_stopped_search_runs_out_and_an_exhausted_clock_does_the_same():
    tale = ScriptedSearch(hours=2.0)
    tale.segment(tale.trial(), 1)
    assert choose_next_job(tale.state, tale.policy, spent_hours=2.0) == Wait()
    tale.report("t0001", 1, 0.1)
    assert choose_next_job(tale.state, tale.policy, spent_hours=2.0) == Done("2 hours used")
    tale.record("stop", trial=None, now=False, by="user")
    assert choose_next_job(tale.state, tale.policy) == Done("asked to stop")


def _held(tale):
    tale.record("hold", cause="disk", reason="1 GB free", by="watchdog")
    return choose_next_job(tale.state, tale.policy)


def test_on_hold_nothing_is_started_whatever_would_come_next():
    new, wanted, ahead, cut = ScriptedSearch(), ScriptedSearch(), ScriptedSearch(), ScriptedSearch()
    wanted.record("queued", key="w")
    ahead.train_new(0.3, 0.2, 0.1)
    cut.segment(cut.trial(), 1)
    cut.crash("t0001")
    kinds = [type(choose_next_job(tale.state, tale.policy)) for tale in (new, wanted, ahead, cut)]
    assert kinds == [NewTrial, StartQueued, Advance, Resume]
    assert [_held(tale) for tale in (new, wanted, ahead, cut)] == [Wait()] * 4
    cut.record("release", cause="disk", by="watchdog")
    assert choose_next_job(cut.state, cut.policy) == Resume("t0001", 1)
    ahead.segment("t0003", 3)
    assert find_wrong_decisions(ahead.events) == [
        f"{ahead.now.isoformat()}: ('t0003', 3) while on hold (disk)"
    ]


def test_a_search_on_hold_still_ends_when_it_is_over():
    tale = ScriptedSearch(trials=1, hours=1.0, rungs=(1,))
    assert _held(tale) == Wait()
    assert choose_next_job(tale.state, tale.policy, spent_hours=1.0) == Done("1 hours used")
    tale.record("stop", trial=None, now=False, by="anna")
    assert choose_next_job(tale.state, tale.policy) == Done("asked to stop")
    tale = ScriptedSearch(trials=1, rungs=(1,))
    tale.train_new(0.1)
    assert _held(tale) == Done("all trials tried")


def test_what_ran_out_of_memory_is_tried_once_more_when_nothing_else_is_left_to_do():
    tale = ScriptedSearch(rungs=(1,), trials=2)
    tale.segment(tale.trial(), 1)
    tale.crash("t0001", kind="out_of_memory")
    tale.record_ends()
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)
    tale.segment(tale.trial(), 1)
    assert choose_next_job(tale.state, tale.policy) == Wait(), "the other one is in the way"
    tale.report("t0002", 1, 0.3)
    tale.record_ends()
    assert choose_next_job(tale.state, tale.policy) == Resume("t0001", 1)
    tale.segment("t0001", 1)
    tale.crash("t0001", "CUDA out of memory", kind="out_of_memory")
    tale.record_ends()
    trial = tale.state.trials["t0001"]
    assert (trial.state, trial.failure) == ("failed", "out_of_memory")
    assert trial.reason == "out of memory 2 times: CUDA out of memory"
    assert choose_next_job(tale.state, tale.policy) == Done("all trials tried")


def test_a_search_that_lost_more_trials_than_it_may_lets_the_running_ones_finish_and_ends():
    tale = ScriptedSearch(rungs=(1, 3), trials=9)
    tale.record("search", max_failed=1)
    for _ in range(2):
        assert choose_next_job(tale.state, tale.policy) == NewTrial(1)
        tale.segment(tale.trial(), 1)
        tale.end(list(tale.state.trials)[-1], "failed", "diverged: x", "failure", kind="diverged")
        if len(tale.state.trials) == 1:
            tale.segment(tale.trial(), 1)
    assert choose_next_job(tale.state, tale.policy) == Wait()
    tale.report("t0002", 1, 0.3)
    assert choose_next_job(tale.state, tale.policy) == Done("more than 1 trials failed")
    tale.record("search", max_failed=2)
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)


def _with_a_trial_that_is_trained_again(values=(0.3, 0.2, 0.1)):
    tale = ScriptedSearch(trials=3)
    tale.train_new(*values)
    tale.record("queued", key="retrain/0/1", config={})
    return tale


def test_a_trial_that_is_trained_again_has_one_segment_to_the_last_rung():
    tale = _with_a_trial_that_is_trained_again()
    job = choose_next_job(tale.state, tale.policy)
    assert isinstance(job, StartQueued)
    assert job.to_rung == 9
    again = tale.trial(wish="retrain/0/1")
    tale.segment(again, 9)
    tale.report(again, 1, 0.4)
    tale.crash(again)
    assert choose_next_job(tale.state, tale.policy) == Resume(again, 9)
    tale.train(again, 9, 0.4)
    assert tale.state.trials[again].state == "complete"
    assert find_wrong_decisions(tale.events) == []


def test_a_trial_that_is_trained_again_takes_no_place_at_a_rung():
    tale = _with_a_trial_that_is_trained_again()
    before = choose_next_job(tale.state, tale.policy)
    again = tale.trial(wish="retrain/0/1")
    tale.train(again, 9, 0.01)
    # Three results at rung 1, so that one advances; of four it would be one as well, but another.
    assert choose_next_job(tale.state, tale.policy) == Advance("t0003", 3)
    assert isinstance(before, StartQueued)
    for trial, rung in (("t0003", 3), ("t0003", 9)):
        tale.train(trial, rung, 0.1)
    assert isinstance(choose_next_job(tale.state, tale.policy), Done)
    index = RungIndex(tale.state).refresh(tale.policy)
    assert index.ranking(1) == rung_queries.ranking(tale.state, 1, tale.policy)
    assert again not in index.ranking(1)
    found = {rung: rung_queries.rung_results(tale.state, rung) for rung in tale.policy.rungs}
    assert recompute_rungs(tale.events) == found


def test_a_trial_that_is_trained_again_does_not_go_on_in_a_longer_search():
    tale = _with_a_trial_that_is_trained_again()
    again = tale.trial(wish="retrain/0/1")
    tale.train(again, 9, 0.01)
    tale.record("search", rungs=[1, 3, 9, 27], max_epochs=27)
    tale.train("t0003", 3, 0.1)
    tale.train("t0003", 9, 0.1)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0003", 27)
    tale.train("t0003", 27, 0.1)
    assert isinstance(choose_next_job(tale.state, tale.policy), Done)
