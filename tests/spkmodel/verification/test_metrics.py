"""Error rates agree with values worked by hand, with sklearn, and with brute force."""

import time
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from spkmodel.verification import bootstrap, metrics
from spkmodel.verification.bootstrap import Interval

# targets, non-targets, then by hand: EER linear, by the clova rule, of the hull; minDCF at 0.01
CASES = {
    "A": ([0.8, 0.9], [0.1, 0.2], 0, 0, 0, 0),
    "B": ([0.3, 0.6, 0.9], [0.1, 0.2, 0.5], 1 / 3, 1 / 3, 1 / 6, 1 / 3),
    "C": ([0.4, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.5], 0.25, 0.25, 0.125, 0.25),
    "D": ([0.35, 0.8], [0.1, 0.2, 0.4, 0.5, 0.6], 0.5, 0.6, 3 / 11, 0.5),
    "E": ([0.2, 0.5, 0.9], [0.1, 0.3, 0.4, 0.6], 1 / 3, 1 / 3, 0.3, 2 / 3),
    "F": ([0.5] * 3, [0.5] * 3, 0.5, 1, 0.5, 1),
    "G": ([0.5, 0.5, 0.9], [0.1, 0.5, 0.5], 1 / 3, 2 / 3, 1 / 3, 2 / 3),
    "H": ([0.1, 0.2], [0.8, 0.9], 1, 1, 0.5, 1),
    "I": ([0.0], [1.0], 1, 1, 0.5, 1),
}


def listed(case):
    of_targets, of_others = CASES[case][:2]
    scores = np.array(of_targets + of_others)
    return scores, np.arange(len(scores)) < len(of_targets)


def figures(scores, targets):
    return (
        metrics.eer(scores, targets),
        metrics.eer_clova(scores, targets),
        metrics.eer_rocch(scores, targets),
        metrics.min_dcf(scores, targets, p_target=0.01),
    )


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_worked_by_hand_in_any_order_of_the_pairs(case):
    scores, targets = listed(case)
    shuffles = np.random.default_rng(0)
    as_listed = np.arange(len(scores))
    orders = [as_listed, as_listed[::-1], *(shuffles.permutation(as_listed) for _ in range(10))]
    for order in orders:
        assert figures(scores[order], targets[order]) == pytest.approx(CASES[case][2:])


def test_min_dcf_weighs_the_two_errors_by_prior_and_cost():
    scores, targets = listed("E")
    assert metrics.min_dcf(scores, targets, p_target=0.5) == pytest.approx(7 / 12)
    assert metrics.min_dcf(scores, targets, p_target=0.25, c_miss=3) == pytest.approx(7 / 12)


def test_min_dcf_of_a_useless_verifier_is_1_for_a_rare_and_for_a_frequent_target():
    scores, targets = listed("H")
    assert metrics.min_dcf(scores, targets, p_target=0.01) == pytest.approx(1)
    assert metrics.min_dcf(scores, targets, p_target=0.99) == pytest.approx(1)


def test_the_eer_of_two_normal_densities_is_the_one_in_theory():
    random = np.random.default_rng(1)
    scores = np.concatenate([random.normal(4, 1, 20_000), random.normal(0, 1, 20_000)])
    targets = np.arange(40_000) < 20_000
    assert metrics.eer(scores, targets) == pytest.approx(NormalDist().cdf(-2), abs=0.002)


@st.composite
def lists(draw):
    kinds = st.tuples(st.integers(-4, 4), st.booleans())
    pairs = draw(st.lists(kinds, max_size=14))
    pairs += [(draw(st.integers(-4, 4)), True), (draw(st.integers(-4, 4)), False)]
    pairs = draw(st.permutations(pairs))
    return np.array([score / 4 for score, _ in pairs]), np.array([target for _, target in pairs])


quick = settings(max_examples=25, deadline=None)


@quick
@given(lists())
def test_the_eer_is_the_root_on_the_interpolated_roc(pairs):
    false_alarm, hit, _ = roc_curve(pairs[1], pairs[0], drop_intermediate=False)
    root = brentq(lambda x: 1 - x - interp1d(false_alarm, hit)(x), 0, 1)
    assert metrics.eer(*pairs) == pytest.approx(root, abs=1e-9)


@quick
@given(lists())
def test_the_clova_rule_is_that_of_sklearns_corners(pairs):
    false_alarm, hit, _ = roc_curve(pairs[1], pairs[0])
    nearest = np.argmin(np.abs(1 - hit - false_alarm))
    expected = max(false_alarm[nearest], 1 - hit[nearest])
    assert metrics.eer_clova(*pairs) == pytest.approx(expected)


@quick
@given(lists())
def test_a_rising_map_of_the_scores_changes_nothing(pairs):
    scores, targets = pairs
    assert figures(np.exp(3 * scores) - 7, targets) == figures(scores, targets)


@quick
@given(lists())
def test_every_pair_twice_changes_nothing(pairs):
    scores, targets = pairs
    twice = figures(np.tile(scores, 2), np.tile(targets, 2))
    assert twice == pytest.approx(figures(scores, targets))


@quick
@given(lists())
def test_swapped_classes_with_negated_scores_have_the_same_eer(pairs):
    scores, targets = pairs
    assert metrics.eer(-scores, ~targets) == pytest.approx(metrics.eer(scores, targets))


@quick
@given(lists())
def test_the_hull_is_lowest_the_clova_rule_highest_and_min_dcf_at_most_1(pairs):
    linear, clova, hull, dcf = figures(*pairs)
    assert 0 <= hull <= linear + 1e-12 <= clova + 2e-12 <= 1 + 2e-12
    assert 0 <= dcf <= 1


@quick
@given(lists())
def test_the_det_curve_counts_what_each_of_its_thresholds_rejects(pairs):
    scores, targets = pairs
    curve = metrics.det_curve(scores, targets)
    assert len(curve.thresholds) == len(set(scores)) + 1
    assert (curve.miss[0], curve.false_alarm[0]) == (0, 1)
    assert (curve.miss[-1], curve.false_alarm[-1]) == (1, 0)
    for threshold, miss, false_alarm in zip(
        curve.thresholds, curve.miss, curve.false_alarm, strict=True
    ):
        assert miss == pytest.approx(np.mean(scores[targets] < threshold))
        assert false_alarm == pytest.approx(np.mean(scores[~targets] >= threshold))
        assert metrics.rates_at(scores, targets, threshold) == pytest.approx((miss, false_alarm))


@quick
@given(lists())
def test_no_threshold_brings_the_rates_closer_than_the_one_at_eer(pairs):
    curve = metrics.det_curve(*pairs)
    miss, false_alarm = metrics.rates_at(*pairs, metrics.threshold_at_eer(*pairs))
    closest = np.abs(curve.miss - curve.false_alarm).min()
    assert abs(miss - false_alarm) == pytest.approx(closest)


def test_the_threshold_lies_midway_between_the_neighbouring_scores():
    assert metrics.threshold_at_eer(*listed("A")) == pytest.approx(0.5)
    assert metrics.threshold_at_eer(*listed("B")) == pytest.approx(0.4)
    assert metrics.threshold_at_eer(*listed("H")) == pytest.approx(0.5)


def test_the_threshold_between_two_neighbouring_floats_still_separates_them():
    scores = [1.0, float(np.nextafter(1, 2))]
    threshold = metrics.threshold_at_eer(scores, [False, True])
    assert metrics.rates_at(scores, [False, True], threshold) == (0, 0)


def test_the_threshold_of_all_tied_scores_rejects_them():
    scores, targets = listed("F")
    threshold = metrics.threshold_at_eer(scores, targets)
    assert metrics.rates_at(scores, targets, threshold) == (1, 0)


def test_scores_that_are_not_finite_are_refused_with_their_place():
    with pytest.raises(ValueError, match="got nan at index 1"):
        metrics.eer([0.1, np.nan, 0.3], [True, False, True])
    with pytest.raises(ValueError, match="got -inf at index 0"):
        metrics.det_curve([-np.inf, 0.2], [True, False])


def test_a_list_of_one_kind_only_is_refused_by_name():
    with pytest.raises(ValueError, match="no non-target pair"):
        metrics.eer([0.1, 0.2], [True, True])
    with pytest.raises(ValueError, match="no target pair"):
        metrics.min_dcf([0.1, 0.2], [0, 0], p_target=0.01)
    with pytest.raises(ValueError, match="no target pair"):
        metrics.eer([], [])


def test_lists_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(1,\)"):
        metrics.eer([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="other values"):
        metrics.eer([0.1, 0.2], [2, 1])


# --- bootstrap -------------------------------------------------------------------------------


def verified(speakers=12, pairs=300, seed=0, distance=2.0):
    """Scores of random pairs, with an offset a speaker so that pairs are not independent."""
    random = np.random.default_rng(seed)
    enrol = random.integers(speakers, size=pairs)
    test = np.where(random.random(pairs) < 0.5, enrol, random.integers(speakers, size=pairs))
    targets = enrol == test
    offsets = random.normal(size=speakers)
    scores = distance * targets + offsets[enrol] + offsets[test] + random.normal(size=pairs)
    names = np.array([f"s{n:03d}" for n in range(speakers)])
    return scores.round(2), targets, names[enrol], names[test]


def test_a_replicate_is_the_list_with_each_pair_as_often_as_its_speakers_were_drawn():
    scores, targets, enrol, test = verified(speakers=6, pairs=80)
    draws = np.random.default_rng(5).multinomial(6, np.full(6, 1 / 6), size=40)
    expected = []
    for draw in draws:
        count = dict(zip(sorted(set(enrol) | set(test)), draw, strict=True))
        times = [
            count[a] if target else count[a] * count[b]
            for a, b, target in zip(enrol, test, targets, strict=True)
        ]
        scores_then, targets_then = np.repeat(scores, times), np.repeat(targets, times)
        if targets_then.any() and not targets_then.all():
            expected.append(metrics.eer(scores_then, targets_then))
    interval = bootstrap.bootstrap_eer(scores, targets, enrol, test, replicates=40, seed=5)
    low, high = np.quantile(expected, (0.025, 0.975))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.level == 0.95


def test_the_interval_depends_on_the_seed_and_on_nothing_else(monkeypatch):
    voices = verified()
    once = bootstrap.bootstrap_eer(*voices, replicates=100, seed=1)
    assert bootstrap.bootstrap_eer(*voices, replicates=100, seed=2) != once
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 1000)
    assert bootstrap.bootstrap_eer(*voices, replicates=100, seed=1) == once
    order = np.random.default_rng(0).permutation(len(voices[0]))
    shuffled = [column[order] for column in voices]
    assert bootstrap.bootstrap_eer(*shuffled, replicates=100, seed=1) == once


def test_the_interval_holds_the_eer_and_narrows_with_more_speakers():
    few, many = verified(speakers=12, pairs=2000), verified(speakers=120, pairs=2000)
    of_few = bootstrap.bootstrap_eer(*few, replicates=200, seed=0)
    of_many = bootstrap.bootstrap_eer(*many, replicates=200, seed=0)
    assert of_few.low < metrics.eer(*few[:2]) < of_few.high
    assert of_many.high - of_many.low < of_few.high - of_few.low


def test_the_difference_of_a_system_with_itself_is_0_and_with_a_worse_one_negative():
    scores, targets, enrol, test = verified(speakers=40, pairs=1000)
    worse = scores + np.random.default_rng(1).normal(0, 4, len(scores))
    chance = {"replicates": 100, "seed": 0}
    same = bootstrap.paired_bootstrap(scores, scores, targets, enrol, test, **chance)
    assert same == Interval(0.0, 0.0, 0.95)
    assert bootstrap.paired_bootstrap(scores, worse, targets, enrol, test, **chance).high < 0


def test_a_bootstrap_refuses_what_has_no_speakers_to_draw():
    with pytest.raises(ValueError, match="must be one speaker, got a and b at index 0"):
        bootstrap.bootstrap_eer([0.9, 0.1], [True, False], ["a", "a"], ["b", "b"], seed=0)
    with pytest.raises(ValueError, match="at least 2 speakers"):
        bootstrap.bootstrap_eer([0.9, 0.1], [True, False], ["a", "a"], ["a", "a"], seed=0)
    with pytest.raises(ValueError, match="one speaker for each of 2 pairs"):
        bootstrap.bootstrap_eer([0.9, 0.1], [True, False], ["a"], ["a"], seed=0)
    with pytest.raises(ValueError, match="replicates must be at least 1"):
        bootstrap.bootstrap_eer([0.9, 0.1], [1, 0], ["a", "a"], ["a", "b"], replicates=0)


def test_an_interval_for_an_epochs_report_costs_less_than_a_second():
    voices = verified(speakers=100, pairs=6000)
    start = time.perf_counter()
    bootstrap.bootstrap_eer(*voices, replicates=200, seed=0)
    assert time.perf_counter() - start < 1
