import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.scheduler.asha import Advance, find_advances, find_final_outcomes, find_outcomes
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.next_job import Done, NewTrial, Wait, choose_next_job
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_queries import ranking, rung_results
from tests.support.scripted_search import ScriptedSearch


def _run(tale, dev_eer, slots=1, limit=5000):
    """Play the search to its end with `dev_eer(trial, epoch)`; slots advance in turn."""
    running = []
    for _ in range(limit):
        while len(running) < slots:
            job = choose_next_job(tale.state, tale.policy)
            if isinstance(job, Wait | Done):
                break
            trial = tale.trial() if isinstance(job, NewTrial) else job.trial
            tale.segment(trial, job.to_rung)
            running.append(trial)
        if not running:
            return job
        trial = running.pop(0)
        epoch = tale.state.trials[trial].epoch + 1
        tale.report(trial, epoch, dev_eer(trial, epoch))
        tale.record_ends()
        if tale.state.trials[trial].live:
            running.append(trial)
    raise AssertionError("the search does not end")


def test_one_of_every_three_advances_and_it_is_the_best():
    tale = ScriptedSearch()
    tale.train_new(0.30, 0.20)
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)
    tale.train_new(0.25)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0002", 3)


def test_the_highest_rung_goes_first():
    tale = ScriptedSearch()
    tale.train_new(0.11, 0.12, 0.13, *[0.5] * 6)
    for trial in ("t0001", "t0002", "t0003"):
        tale.train(trial, 3, 0.1)
    tale.train_new(0.1, 0.5, 0.5)
    assert find_advances(tale.state, tale.policy) == [Advance("t0001", 9), Advance("t0010", 3)]


def test_equal_results_are_ranked_by_trial():
    tale = ScriptedSearch()
    tale.train_new(0.2, 0.2, 0.2)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0001", 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_survives_a_rung(value):
    tale = ScriptedSearch(trials=3)
    tale.train_new(value, value, value)
    assert rung_results(tale.state, 1) == []
    assert choose_next_job(tale.state, tale.policy) == Done("all trials tried")


def test_a_missing_metric_never_survives_a_rung():
    tale = ScriptedSearch(trials=1)
    tale.segment(tale.trial(), 1)
    tale.record(
        "report", trial="t0001", attempt=1, epoch=1, metrics={}, seconds=1, checkpoint="", sha256=""
    )
    assert choose_next_job(tale.state, tale.policy) == Done("all trials tried")


def test_twenty_four_trials_cost_sixty_six_epochs_and_three_or_four_finish():
    tale = ScriptedSearch(trials=24)
    _run(tale, lambda trial, epoch: int(trial[1:]) % 7 / 10 + 0.1 / epoch, slots=2)
    finished = [t for t in tale.state.trials.values() if t.state == "complete"]
    epochs = sum(trial.epoch for trial in tale.state.trials.values())
    assert 56 <= epochs <= 72
    assert 2 <= len(finished) <= 4


@pytest.mark.parametrize("kind", ["promotion", "stopping"])
@pytest.mark.parametrize("trials", [1, 2, 4])
def test_even_a_tiny_search_trains_one_trial_to_the_end(kind, trials):
    tale = ScriptedSearch(trials=trials, rule=kind)
    _run(tale, lambda trial, epoch: int(trial[1:]) / 10 + 0.1 / epoch)
    assert tale.state.trials["t0001"].state == "complete"


def test_no_place_is_rounded_up_while_another_trial_may_still_come():
    tale = ScriptedSearch(trials=4)
    tale.train_new(0.1, 0.2, 0.3)
    tale.train("t0001", 3, 0.1)
    tale.segment(tale.trial(), 1)
    assert choose_next_job(tale.state, tale.policy) == Wait()
    tale.report("t0004", 1, 0.4)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0002", 3)


def test_a_trial_stopped_by_hand_ends_and_frees_its_place():
    tale = ScriptedSearch()
    tale.train_new(0.1, 0.2, 0.3)
    tale.record("stop", trial="t0001", now=False, by="user")
    tale.record_ends()
    assert tale.state.trials["t0001"].state == "killed"
    assert choose_next_job(tale.state, tale.policy) == Advance("t0002", 3)


def test_a_trial_that_failed_on_its_way_up_keeps_the_place_it_had():
    tale = ScriptedSearch()
    tale.train_new(0.1, 0.2, 0.3)
    tale.segment("t0001", 3)
    tale.report("t0001", 2, 0.1)
    tale.end("t0001", "failed", "diverged: loss is nan", "failure")
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)


def test_what_waited_to_the_last_is_stopped_at_its_rung_with_its_place():
    tale = ScriptedSearch(trials=3)
    tale.train_new(0.3, 0.2, 0.1)
    tale.train("t0003", 3, 0.1)
    tale.train("t0003", 9, 0.1)
    reasons = {
        e.trial: e.reason for e in find_final_outcomes(tale.state, tale.policy, "all trials tried")
    }
    assert reasons == {
        "t0001": "all trials tried; 3 of 3 at rung 1",
        "t0002": "all trials tried; 2 of 3 at rung 1",
    }


def _finish(tale):
    for end in find_final_outcomes(tale.state, tale.policy, "all trials tried"):
        tale.end(end.trial, end.state, end.reason, end.by)
    tale.record("finish", reason="all trials tried", totals={})


def test_more_trials_make_the_stopped_ones_candidates_again():
    tale = ScriptedSearch(trials=3)
    tale.train_new(0.3, 0.2, 0.1)
    tale.train("t0003", 3, 0.1)
    tale.train("t0003", 9, 0.1)
    _finish(tale)
    assert choose_next_job(tale.state, tale.policy) == Done("all trials tried")
    tale.record("search", trials=6)
    tale.train_new(0.4, 0.5, 0.6)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0002", 3)


@pytest.mark.parametrize(("trials", "expected"), [(9, 3), (3, 3), (2, 2)])
def test_as_many_finalists_as_asked_for_are_trained_to_the_end(trials, expected):
    tale = ScriptedSearch(trials=trials)
    _run(tale, lambda trial, _: int(trial[1:]) / 100, slots=2)
    _finish(tale)
    tale.record("search", rungs=[1, 3, 9, 27], finalists=3)
    tale.record("driver", host="here", pid=2, started="0-2")
    _run(tale, lambda trial, _: int(trial[1:]) / 100, slots=2)
    trained = [name for name, trial in tale.state.trials.items() if trial.epoch == 27]
    assert trained == [f"t{number:04d}" for number in range(1, expected + 1)]
    assert find_wrong_decisions(tale.events) == []


def test_more_epochs_take_the_best_of_the_finished_ones_on():
    tale = ScriptedSearch(trials=9)
    _run(tale, lambda trial, _: int(trial[1:]) / 10)
    _finish(tale)
    tale.record("search", rungs=[1, 3, 9, 27])
    assert choose_next_job(tale.state, tale.policy) == Advance("t0001", 27)


def test_a_ladder_that_moved_takes_a_trial_on_from_the_rung_it_passed():
    tale = ScriptedSearch(trials=1, rungs=(1, 3, 10))
    _run(tale, lambda *_: 0.1)
    tale.record("search", rungs=[1, 3, 9, 27])
    assert choose_next_job(tale.state, tale.policy) == Advance("t0001", 27)


def test_the_stopping_rule_judges_on_arrival_and_once():
    tale = ScriptedSearch(rule="stopping")
    tale.train_new(0.3)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0001", 3)
    tale.train("t0001", 3, 0.3)
    tale.train("t0001", 9, 0.3)
    tale.train_new(0.4)
    assert tale.state.trials["t0002"].state == "stopped"
    assert tale.state.trials["t0002"].reason == "not among the best 1/3; 2 of 2 at rung 1"
    tale.train_new(0.2)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0003", 3)
    tale.train_new(0.9, 0.9)
    assert [job.trial for job in find_advances(tale.state, tale.policy)] == ["t0003"]


def test_an_end_that_came_about_is_found_again_after_a_restart():
    tale = ScriptedSearch(rule="stopping", trials=1)
    tale.segment(tale.trial(), 1)
    tale.report("t0001", 1, math.nan)
    assert [end.state for end in find_outcomes(tale.state, tale.policy)] == ["stopped"]


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["promotion", "stopping"]),
    trials=st.integers(1, 30),
    slots=st.integers(1, 5),
    values=st.lists(st.floats(0, 1) | st.just(math.nan), min_size=30, max_size=30),
)
def test_whatever_comes_the_search_ends_and_the_ledger_bears_out_every_decision(
    kind, trials, slots, values
):
    tale = ScriptedSearch(rule=kind, trials=trials)
    _run(tale, lambda trial, _: values[int(trial[1:]) - 1], slots=slots)
    _finish(tale)
    assert find_wrong_decisions(tale.events) == []
    finite = {
        rung: [(value, trial) for value, trial in results if not math.isnan(value)]
        for rung, results in recompute_rungs(tale.events).items()
    }
    assert {rung: sorted(r) for rung, r in finite.items()} == {
        rung: rung_results(tale.state, rung) for rung in tale.policy.rungs
    }
    assert all(trial.state in ("complete", "stopped") for trial in tale.state.trials.values())
    assert len(tale.state.trials) == trials


# --- two objectives --------------------------------------------------------------------------

BOTH = ("dev_eer", "encoder_parameters")


def _both(*results, rungs=(1, 3), eta=3, trials=24):
    """Trials at rung 1 with these dev EERs and sizes."""
    tale = ScriptedSearch(rungs=rungs, eta=eta, trials=trials)
    tale.record("search", rungs=list(rungs), eta=eta, rule="promotion", trials=trials, hours=None,
                objectives=list(BOTH))  # fmt: skip
    for dev_eer, size in results:
        tale.train(tale.trial(encoder_parameters=size), 1, dev_eer)
    return tale


def test_a_small_encoder_advances_though_larger_ones_are_better():
    results = [(0.10, 900), (0.11, 1000), (0.12, 1100), (0.30, 10), (0.31, 11), (0.32, 12)]
    tale = _both(*results)
    assert ranking(tale.state, 1, tale.policy)[:2] == ["t0001", "t0004"]
    assert find_advances(tale.state, tale.policy) == [Advance("t0001", 3), Advance("t0004", 3)]
    alone = AshaPolicy((1, 3), trials=24)
    assert [job.trial for job in find_advances(tale.state, alone)] == ["t0001", "t0002"]


def test_what_is_larger_and_worse_stands_behind_and_is_told_its_place():
    tale = _both((0.2, 100), (0.3, 200), (0.4, 50))
    assert ranking(tale.state, 1, tale.policy) == ["t0001", "t0003", "t0002"]
    reasons = {
        end.trial: end.reason for end in find_final_outcomes(tale.state, tale.policy, "over")
    }
    assert reasons["t0002"] == "over; 3 of 3 at rung 1"


def test_an_encoder_whose_size_is_not_known_counts_as_the_largest():
    tale = _both((0.2, 100), (0.2, None))
    assert ranking(tale.state, 1, tale.policy) == ["t0001", "t0002"]


def test_a_search_for_both_ends_and_its_last_rung_has_more_than_the_lowest_eer():
    tale = _both(trials=18)
    sizes = {}

    def dev_eer(trial, epoch):
        return 0.5 / (1 + sizes[trial]) + 0.1 / epoch

    for number in range(18):
        sizes[f"t{number + 1:04d}"] = number
    make = tale.trial
    tale.trial = lambda: make(encoder_parameters=1 + sizes[f"t{len(tale.state.trials) + 1:04d}"])
    assert isinstance(_run(tale, dev_eer, slots=3), Done)
    complete = [name for name, trial in tale.state.trials.items() if trial.state == "complete"]
    assert {"t0001", "t0018"} <= set(complete)
    assert len(complete) >= 6
