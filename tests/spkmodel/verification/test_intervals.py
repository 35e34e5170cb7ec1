"""Intervals cover the truth as often as they say, and equal systems are rarely called different."""

import numpy as np
import pytest

from bench.intervals import __main__ as simulation
from bench.intervals.lists import simulate
from spkmodel.verification import metrics
from spkmodel.verification.intervals import (
    LEAST_SPEAKERS,
    compare_eers,
    difference_interval,
    eer_interval,
)


def drawn(speakers=20, seed=0, eer=0.1, dense=True):
    found = simulate(np.random.default_rng(seed), speakers, eer, dense=dense)
    return found.scores, found.targets, found.enrol, found.test


# Of 120 lists, 95 % +- 6 points are three standard errors.
@pytest.mark.parametrize(("speakers", "dense"), [(10, True), (20, False), (40, True)])
def test_intervals_cover_the_truth_and_equal_systems_stay_equal(speakers, dense):
    found = simulation.measure("influence", speakers, 0.05, dense=dense, lists=120)
    assert 0.89 <= found["coverage"] <= 1
    assert found["null_rejected"] <= 0.11
    assert found["power"] > found["null_rejected"]


@pytest.mark.long
@pytest.mark.parametrize("speakers", [10, 20, 40, 100, 200])
@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@pytest.mark.parametrize("eer", [0.05, 0.15])
def test_coverage_and_size_are_as_published(speakers, dense, eer):
    found = simulation.measure("influence", speakers, eer, dense=dense, lists=1000)
    # 93 to 97 %, and three standard errors of 1,000 lists; few errors make intervals wide.
    assert 0.91 <= found["coverage"] <= 0.99
    assert 0.01 <= found["null_rejected"] <= 0.09


@pytest.mark.parametrize("speakers", [2, LEAST_SPEAKERS - 1])
def test_few_speakers_have_no_interval_and_the_reason(speakers):
    scores, targets, enrol, test = drawn(speakers)
    for found in (
        eer_interval(scores, targets, enrol, test),
        difference_interval(scores, -scores, targets, enrol, test),
    ):
        assert (found.low, found.high) == (None, None)
        assert found.why_not == f"{speakers} speakers; an interval needs at least {LEAST_SPEAKERS}"


def test_the_interval_holds_the_eer_and_names_the_speakers():
    scores, targets, enrol, test = drawn(30)
    found = eer_interval(scores, targets, enrol, test)
    assert found.low < metrics.eer(scores, targets) < found.high
    assert found.speakers == 30


def test_the_order_of_the_pairs_and_the_names_of_the_speakers_do_not_matter():
    scores, targets, enrol, test = drawn(12)
    order = np.random.default_rng(1).permutation(len(scores))
    names = np.array([f"s{n}" for n in np.random.default_rng(2).permutation(12)])
    other = eer_interval(scores[order], targets[order], names[test[order]], names[enrol[order]])
    found = eer_interval(scores, targets, enrol, test)
    assert (other.low, other.high) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize("scores", [np.zeros(60), np.round(np.linspace(0, 1, 60))])
def test_tied_scores_are_not_taken_for_certainty(scores):
    targets = np.arange(60) % 2 == 0
    enrol = np.arange(60) % 6
    test = np.where(targets, enrol, (enrol + 1) % 6)
    eer = metrics.eer(scores, targets)
    found = eer_interval(scores, targets, enrol, test)
    assert 0 <= found.low < eer < found.high <= 1


def test_without_errors_the_interval_says_what_so_many_speakers_rule_out():
    enrol = np.repeat(np.arange(20), 2)
    targets = np.tile([True, False], 20)
    test = np.where(targets, enrol, (enrol + 1) % 20)
    found = eer_interval(targets.astype(float), targets, enrol, test)
    assert (found.low, found.high) == pytest.approx((0, 1 - 0.05 ** (1 / 20)))
    wrong = eer_interval(1.0 - targets, targets, enrol, test)
    assert (wrong.low, wrong.high) == pytest.approx((0.05 ** (1 / 20), 1))


def test_a_system_does_not_differ_from_itself_and_is_worse_than_a_better_one():
    found = simulate(np.random.default_rng(3), 40, 0.1, dense=True, gain=1.0)
    sides = (found.targets, found.enrol, found.test)
    same = difference_interval(found.scores, found.scores, *sides)
    assert (same.low, same.high) == (0, 0)
    assert difference_interval(found.better, found.equal[1], *sides).high < 0


def test_the_probability_of_being_better_agrees_with_the_interval_and_with_its_mirror():
    scores, targets, enrol, test = drawn(20)
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(0, 0.4 * scores.std(), len(scores))
        there = compare_eers(scores + noise, scores, targets, enrol, test)
        back = compare_eers(scores, scores + noise, targets, enrol, test)
        assert there.first_is_lower == pytest.approx(1 - back.first_is_lower)
        assert there.difference == -back.difference
        # At an end of a 95 % interval the probability is 2.5 %.
        assert (there.interval.low > 0) == (there.first_is_lower < 0.025)


def test_a_system_is_as_likely_better_as_worse_than_itself_and_of_few_speakers_nothing_is_said():
    scores, targets, enrol, test = drawn(20)
    assert compare_eers(scores, scores, targets, enrol, test).first_is_lower == 0.5
    few = drawn(3)
    assert compare_eers(few[0], -few[0], *few[1:]).first_is_lower is None


def test_what_is_no_list_of_pairs_is_refused():
    with pytest.raises(ValueError, match="must be one speaker, got a and b at index 0"):
        eer_interval([0.9, 0.1], [True, False], ["a", "a"], ["b", "b"])
    with pytest.raises(ValueError, match="one speaker for each of 2 pairs"):
        eer_interval([0.9, 0.1], [True, False], ["a"], ["a"])
