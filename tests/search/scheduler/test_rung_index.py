"""The index answers what looking at all trials would, after any event of any ledger."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.ledger.trial import SIZE
from search.scheduler.asha import Scan, advancing, ends, last_ends, next_job, ranking
from search.scheduler.policy import is_open
from search.scheduler.rung_index import RungIndex
from tests.support.random_events import Teller
from tests.support.scripted_search import Story


def assert_same_answers(state, rule, index):
    trials = index.look(rule)
    scan = Scan(state, rule)
    assert trials.any_live() == scan.any_live()
    assert trials.interrupted() == scan.interrupted()
    assert trials.needing_exclusive_memory() == scan.needing_exclusive_memory()
    assert trials.failed() == scan.failed()
    assert ends(state, rule, trials) == ends(state, rule)
    assert last_ends(state, rule, "over", trials) == last_ends(state, rule, "over")
    assert advancing(state, rule, trials) == advancing(state, rule)
    assert next_job(state, rule, 0.0, trials) == next_job(state, rule, 0.0)
    for rung in rule.rungs:
        assert trials.ranking(rung) == ranking(state, rung, rule)
        assert trials.any_heading_to(rung) == scan.any_heading_to(rung)
        for places in (0, 1, 2, 99):
            assert trials.waiting(rung, places) == scan.waiting(rung, places)
        for trial in state.trials.values():
            assert trials.place(trial, rung) == scan.place(trial, rung)


@pytest.mark.parametrize("kind", ["promotion", "stopping"])
@pytest.mark.parametrize("objectives", [["dev_eer"], ["dev_eer", SIZE]], ids=["one", "two"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_after_any_event_the_index_answers_as_a_scan_does(kind, objectives, data):
    teller = Teller(data.draw, kind, objectives)
    index = RungIndex(teller.tale.state)
    for _ in range(data.draw(st.integers(1, 40))):
        teller.happen()
        assert_same_answers(teller.tale.state, teller.tale.rule, index)


def test_what_was_missed_is_caught_up_with():
    tale = Story(trials=100)
    index = RungIndex(tale.state)
    for number in range(30):
        tale.train(tale.trial(), 1, 0.1 + (number * 7 % 30) / 100)
        if number % 10 == 0:
            assert_same_answers(tale.state, tale.rule, index)
    assert_same_answers(tale.state, tale.rule, index)
    assert len(index.look(tale.rule).waiting(1, 10)) == 10


def test_only_what_an_end_may_have_come_about_for_is_looked_at():
    tale = Story(trials=100)
    index = RungIndex(tale.state)
    for number in range(30):
        tale.train(tale.trial(), 1, number / 100)
    assert all(is_open(trial) for trial in tale.state.trials.values())
    assert list(index.look(tale.rule).to_judge()) == []
    tale.record("stop", trial="t0007", now=False, by="somebody")
    assert [trial.trial for trial in index.look(tale.rule).to_judge()] == ["t0007"]


def test_a_size_that_is_learnt_later_is_taken_in():
    tale = Story(trials=100)
    tale.record("search", objectives=["dev_eer", SIZE])
    for number in range(4):
        tale.train(tale.trial(**{SIZE: 100 + number}), 1, 0.2)
    index = RungIndex(tale.state)
    assert index.look(tale.rule).ranking(1)[0] == "t0001"
    tale.state.trials["t0004"].encoder_parameters = 50
    tale.record("later_version", trial="t0004")
    assert_same_answers(tale.state, tale.rule, index)
    assert index.look(tale.rule).ranking(1)[0] == "t0004"
