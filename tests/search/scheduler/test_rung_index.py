"""The index answers what looking at all trials would, after any event of any ledger."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.ledger.kinds import SIZE
from search.scheduler.asha import find_advances, find_final_outcomes, find_outcomes
from search.scheduler.next_job import choose_next_job
from search.scheduler.policy import is_open
from search.scheduler.rung_index import RungIndex
from search.scheduler.rung_queries import StateScan, ranking
from tests.support.random_ledger import RandomLedger
from tests.support.scripted_search import ScriptedSearch


def assert_same_answers(state, policy, index):
    trials = index.refresh(policy)
    scan = StateScan(state, policy)
    assert trials.any_live() == scan.any_live()
    assert trials.oldest_interrupted() == scan.oldest_interrupted()
    assert trials.oldest_needing_exclusive_memory() == scan.oldest_needing_exclusive_memory()
    assert trials.count_failed() == scan.count_failed()
    assert find_outcomes(state, policy, trials) == find_outcomes(state, policy)
    assert find_final_outcomes(state, policy, "over", trials) == find_final_outcomes(
        state, policy, "over"
    )
    assert find_advances(state, policy, trials) == find_advances(state, policy)
    assert choose_next_job(state, policy, 0.0, trials) == choose_next_job(state, policy, 0.0)
    for rung in policy.rungs:
        assert trials.ranking(rung) == ranking(state, rung, policy)
        assert trials.any_may_still_reach(rung) == scan.any_may_still_reach(rung)
        for places in (0, 1, 2, 99):
            assert trials.paused_among_best(rung, places) == scan.paused_among_best(rung, places)
        for trial in state.trials.values():
            assert trials.rank_of(trial, rung) == scan.rank_of(trial, rung)


@pytest.mark.parametrize("kind", ["promotion", "stopping"])
@pytest.mark.parametrize("objectives", [["dev_eer"], ["dev_eer", SIZE]], ids=["one", "two"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_after_any_event_the_index_answers_as_a_scan_does(kind, objectives, data):
    teller = RandomLedger(data.draw, kind, objectives)
    index = RungIndex(teller.tale.state)
    for _ in range(data.draw(st.integers(1, 40))):
        teller.add_event()
        assert_same_answers(teller.tale.state, teller.tale.policy, index)


def test_what_was_missed_is_caught_up_with():
    tale = ScriptedSearch(trials=100)
    index = RungIndex(tale.state)
    for number in range(30):
        tale.train(tale.trial(), 1, 0.1 + (number * 7 % 30) / 100)
        if number % 10 == 0:
            assert_same_answers(tale.state, tale.policy, index)
    assert_same_answers(tale.state, tale.policy, index)
    assert len(index.refresh(tale.policy).paused_among_best(1, 10)) == 10


def test_only_what_an_end_may_have_come_about_for_is_looked_at():
    tale = ScriptedSearch(trials=100)
    index = RungIndex(tale.state)
    for number in range(30):
        tale.train(tale.trial(), 1, number / 100)
    assert all(is_open(trial) for trial in tale.state.trials.values())
    assert list(index.refresh(tale.policy).outcome_candidates()) == []
    tale.record("stop", trial="t0007", now=False, by="somebody")
    assert [trial.trial for trial in index.refresh(tale.policy).outcome_candidates()] == ["t0007"]


def test_a_size_that_is_learnt_later_is_taken_in():
    tale = ScriptedSearch(trials=100)
    tale.record("search", objectives=["dev_eer", SIZE])
    for number in range(4):
        tale.train(tale.trial(**{SIZE: 100 + number}), 1, 0.2)
    index = RungIndex(tale.state)
    assert index.refresh(tale.policy).ranking(1)[0] == "t0001"
    tale.state.trials["t0004"].encoder_parameters = 50
    tale.record("later_version", trial="t0004")
    assert_same_answers(tale.state, tale.policy, index)
    assert index.refresh(tale.policy).ranking(1)[0] == "t0004"
