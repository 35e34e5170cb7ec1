"""Rungs, refused settings, and how many retries a trial has."""

import pytest

from search.scheduler.next_job import Done, Resume, choose_next_job
from search.scheduler.policy import AshaPolicy, ladder
from tests.support.scripted_search import ScriptedSearch


@pytest.mark.parametrize(
    ("max_epochs", "eta", "rungs"),
    [
        (1, 3, (1,)),
        (2, 3, (1, 2)),
        (9, 3, (1, 3, 9)),
        (10, 3, (1, 3, 10)),
        (20, 3, (1, 3, 9, 20)),
        (27, 3, (1, 3, 9, 27)),
        (8, 2, (1, 2, 4, 8)),
    ],
)
def test_the_last_rung_is_the_end_of_training_and_the_others_are_powers(max_epochs, eta, rungs):
    assert ladder(max_epochs, eta) == rungs


def test_a_rule_without_a_budget_or_with_falling_rungs_is_refused():
    with pytest.raises(ValueError, match="trials, hours or both"):
        AshaPolicy((1, 3))
    with pytest.raises(ValueError, match="rising"):
        AshaPolicy((3, 1), trials=1)
    with pytest.raises(ValueError, match="at least 2"):
        AshaPolicy((1, 3), eta=1, trials=1)


def test_a_trial_that_crashed_too_often_has_failed_and_the_search_ends():
    tale = ScriptedSearch(trials=1)
    tale.trial()
    for crash in range(3):
        assert choose_next_job(tale.state, tale.policy) == Resume("t0001", 1)
        tale.segment("t0001", 1)
        tale.crash("t0001", f"worker died, {crash}")
        tale.record_ends()
    trial = tale.state.trials["t0001"]
    assert (trial.state, trial.reason) == ("failed", "crashed 3 times: worker died, 2")
    assert choose_next_job(tale.state, tale.policy) == Done("all trials tried")


def test_dead_drivers_never_fail_a_trial():
    tale = ScriptedSearch(trials=1)
    tale.trial()
    for _ in range(9):
        tale.segment("t0001", 1)
        tale.crash("t0001", "its driver died", counts=False)
        tale.record_ends()
    assert choose_next_job(tale.state, tale.policy) == Resume("t0001", 1)


@pytest.mark.parametrize(
    ("kind", "counts", "most", "failure"),
    [
        ("crash", True, 2, "crash"),
        ("hang", True, 2, "hang"),
        ("lost_node", False, 10, "lost_node"),
        ("preempted", False, 100, "lost_node"),
        ("storage", False, 30, "storage"),
        ("driver", False, None, ""),
        ("stopped", False, None, ""),
    ],
)
def test_each_kind_of_cut_has_its_own_number_of_retries(kind, counts, most, failure):
    tale = ScriptedSearch(rungs=(1,), trials=1)
    tale.trial()
    for _ in range(150 if most is None else most):
        tale.segment("t0001", 1)
        tale.crash("t0001", kind=kind, counts=counts)
        tale.record_ends()
        assert choose_next_job(tale.state, tale.policy) == Resume("t0001", 1)
    if most is not None:
        tale.segment("t0001", 1)
        tale.crash("t0001", kind=kind, counts=counts)
        tale.record_ends()
        assert tale.state.trials["t0001"].failure == failure
        assert isinstance(choose_next_job(tale.state, tale.policy), Done)


def test_an_epoch_between_two_refusals_of_the_storage_makes_them_the_first():
    tale = ScriptedSearch(rungs=(60,), trials=1)
    tale.trial()
    for epoch in range(1, 60):
        tale.segment("t0001", 60)
        tale.report("t0001", epoch, 0.1)
        tale.crash("t0001", kind="storage", counts=False)
        tale.record_ends()
    assert choose_next_job(tale.state, tale.policy) == Resume("t0001", 60)
