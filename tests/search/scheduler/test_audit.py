from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from tests.support.scripted_search import ScriptedSearch


def test_a_decision_that_the_rule_would_not_have_made_is_found():
    tale = ScriptedSearch()
    for value in (0.1, 0.2, 0.3):
        tale.train(tale.trial(), 1, value)
    assert find_wrong_decisions(tale.events) == []
    tale.segment("t0003", 3)
    assert len(find_wrong_decisions(tale.events)) == 1
    tale.end("t0002", "stopped", "a whim", "rule")
    assert len(find_wrong_decisions(tale.events)) == 2


def test_a_repeated_report_moves_no_rung():
    tale = ScriptedSearch()
    tale.train(tale.trial(), 1, 0.3)
    tale.report("t0001", 1, 0.1)
    assert recompute_rungs(tale.events) == {1: [(0.3, "t0001")], 3: [], 9: []}
