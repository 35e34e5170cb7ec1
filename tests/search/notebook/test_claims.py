"""When a claim is borne out, when not, and when nothing can be said: worked out by hand."""

import math

import pytest

from search.notebook.claims import evaluate_claim, evaluate_pairs, mean_interval
from search.notebook.replay_pages import claim_table, verdict_line
from spaces.logged import load_log
from spaces.logged.claims import Claim, load_claims
from tests.support.scripted_search import ScriptedSearch

LOWER = Claim(entry="20", against="19", measure="dev_eer", expected="lower", finding="better")
HIGHER = LOWER.model_copy(update={"expected": "higher"})


def test_the_interval_of_three_differences_is_students():
    # mean -0.02, deviation 0.01, 4.3027 deviations of the mean on either side
    low, high = mean_interval((-0.01, -0.02, -0.03))
    assert (low, high) == pytest.approx((-0.02 - 0.0248414, -0.02 + 0.0248414), abs=1e-6)
    assert mean_interval((0.1,)) == (None, None)


@pytest.mark.parametrize(
    ("pairs", "lower", "higher"),
    [
        ([(0.20, 0.30), (0.21, 0.30), (0.19, 0.30)], "reproduced", "contradicted"),
        ([(0.30, 0.20), (0.30, 0.21), (0.30, 0.19)], "contradicted", "reproduced"),
        ([(0.20, 0.30), (0.30, 0.20), (0.25, 0.26)], "undecided", "undecided"),
        ([(0.20, 0.30)], "undecided", "undecided"),
        ([], "not run", "not run"),
        ([(math.inf, 0.3), (math.inf, 0.2)], "contradicted", "reproduced"),
        ([(0.3, math.inf), (0.2, math.inf)], "reproduced", "contradicted"),
        ([(math.inf, math.inf)] * 3, "undecided", "undecided"),
        ([(0.20, 0.30), (0.21, 0.30), (0.19, math.inf)], "undecided", "undecided"),
    ],
)
def test_verdicts(pairs, lower, higher):
    assert evaluate_pairs(LOWER, pairs).verdict == lower
    assert evaluate_pairs(HIGHER, pairs).verdict == higher


def test_failures_are_counted_on_their_side_and_leave_the_differences():
    judged = evaluate_pairs(LOWER, [(0.2, 0.3), (0.2, 0.31), (math.inf, 0.3)])
    assert (judged.failed_entry, judged.failed_against, judged.pairs) == (1, 0, 3)
    assert judged.differences == pytest.approx((-0.1, -0.11))
    assert judged.mean == pytest.approx(-0.105)


def test_a_claim_is_judged_by_the_last_epoch_of_complete_trials_of_the_same_seed():
    tale = ScriptedSearch(rungs=(2,), trials=0)
    runs = {}
    for number, seed, eer in [("19", 0, 0.3), ("20", 0, 0.2), ("19", 1, 0.4), ("20", 1, 0.25)]:
        name = tale.trial()
        tale.segment(name, 2)
        tale.report(name, 1, 0.01)
        tale.report(name, 2, eer)
        tale.record_ends()
        runs[number, seed] = name
    running = tale.trial()
    tale.segment(running, 2)
    tale.report(running, 1, 0.1)
    runs["20", 2] = running
    collapsed = tale.trial()
    tale.end(collapsed, "failed", "collapsed: all embeddings are alike", "failure")
    runs["19", 2] = collapsed

    def find_trial(number, seed):
        return tale.state.trials.get(runs.get((number, seed), ""))

    judged = evaluate_claim(LOWER, find_trial, range(4))
    assert judged.differences == pytest.approx((-0.1, -0.15))
    assert judged.pairs == 2
    tale.crash(running)
    tale.end(running, "failed", "crashed 3 times", "failure")
    assert evaluate_claim(LOWER, find_trial, range(4)).pairs == 2, (
        "a crash says nothing about a config"
    )


def test_every_claim_is_about_entries_that_differ_and_quotes_a_finding():
    log = {entry.number: entry for entry in load_log().entries}
    assert len(load_claims()) >= 10
    for claim in load_claims():
        entry, other = log[claim.entry], log[claim.against]
        assert entry.config != other.config
        assert entry.finding or other.finding, claim.text
    with_finding = {n for n, e in log.items() if e.finding}
    assert with_finding - {c.entry for c in load_claims()} <= {"01.1", "03"}


def test_a_table_of_claims_says_difference_interval_and_failures():
    from rich.console import Console

    console = Console(width=200, record=True)
    found = [
        evaluate_pairs(LOWER, [(0.20, 0.30), (0.21, 0.30), (0.19, 0.30)]),
        evaluate_pairs(HIGHER, [(math.inf, 0.3), (0.3, 0.3)]),
    ]
    with console.capture() as captured:
        console.print(claim_table(found))
    text = captured.get()
    assert "-10.00" in text
    assert "-12.48 .. -7.52" in text
    assert "2 (1 of 20 failed)" in text
    assert verdict_line(found) == "2 claims: 1 reproduced, 1 undecided"
