"""Calibration finds optima known in theory; its costs are those worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel.verification import metrics
from spkmodel.verification.calibration import (
    Calibration,
    act_dcf,
    bayes_threshold,
    cllr,
    fit,
    min_cllr,
)


def gaussian(distance=2.0, pairs=4000, seed=0):
    """Targets N(distance, 1), non-targets N(0, 1): the llr is distance * s - distance^2 / 2."""
    random = np.random.default_rng(seed)
    targets = np.arange(pairs) % 2 == 0
    return random.normal(np.where(targets, distance, 0.0), 1), targets


@pytest.mark.parametrize("prior", [0.01, 0.05, 0.5, 0.9])
def test_the_optimum_of_gaussian_scores_is_found_at_any_prior(prior):
    scores, targets = gaussian(pairs=40_000)
    found = fit(scores, targets, prior)
    assert found.scale == pytest.approx(2.0, rel=0.1)
    assert found.offset == pytest.approx(-2.0, rel=0.1)
    assert found.prior == prior


def test_scores_on_another_scale_are_calibrated_to_the_same_ratios():
    scores, targets = gaussian()
    llrs = fit(scores, targets).llrs(scores)
    moved = 1e-3 * scores + 40
    assert fit(moved, targets).llrs(moved) == pytest.approx(llrs, abs=1e-6)


def test_at_prior_one_half_no_other_line_has_a_lower_cllr():
    scores, targets = gaussian(distance=1.5, pairs=600)
    scores = np.tanh(scores)  # not Gaussian: the optimum is of these pairs, not of a theory
    found = fit(scores, targets)
    best = cllr(found.llrs(scores), targets)
    for step in (-1e-3, 1e-3):
        for other in (
            Calibration(found.scale + step, found.offset, 0.5),
            Calibration(found.scale, found.offset + step, 0.5),
        ):
            assert cllr(other.llrs(scores), targets) > best


def test_calibration_keeps_the_order_improves_cllr_and_leaves_min_cllr():
    scores, targets = gaussian()
    raw = 0.1 * scores + 0.4
    unseen, unseen_targets = gaussian(seed=1)
    unseen = 0.1 * unseen + 0.4
    llrs = fit(raw, targets).llrs(unseen)
    assert np.array_equal(np.argsort(llrs), np.argsort(unseen))
    assert metrics.eer(llrs, unseen_targets) == metrics.eer(unseen, unseen_targets)
    assert cllr(llrs, unseen_targets) < cllr(unseen, unseen_targets)
    floor = min_cllr(unseen, unseen_targets)
    assert min_cllr(llrs, unseen_targets) == pytest.approx(floor)
    assert floor < cllr(llrs, unseen_targets) < floor + 0.02


def test_cllr_by_hand():
    assert cllr([0, 0, 0], [1, 0, 0]) == pytest.approx(1)
    assert cllr([math.log(9), -math.log(9)], [1, 0]) == pytest.approx(0.152003, abs=5e-7)
    assert cllr([math.log(3), 0, -math.log(3)], [1, 1, 0]) == pytest.approx(
        ((math.log2(4 / 3) + 1) / 2 + math.log2(4 / 3)) / 2
    )


def test_cllr_of_huge_ratios_does_not_overflow():
    assert cllr([2000.0, -2000.0], [1, 0]) == 0
    assert cllr([-2000.0, 2000.0], [1, 0]) == pytest.approx(2000 / math.log(2))


def test_min_cllr_by_hand():
    assert min_cllr([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == 0
    assert min_cllr([0.5] * 4, [0, 1, 0, 1]) == pytest.approx(1)
    assert min_cllr([0.8, 0.9, 0.1, 0.2], [0, 0, 1, 1]) == pytest.approx(1)
    # One violation: pooled at odds 1, and the pairs outside it cost nothing.
    assert min_cllr([0.1, 0.4, 0.5, 0.9], [0, 1, 0, 1]) == pytest.approx(0.5)
    # Three tied pairs, one of them a target, of two targets and three non-targets.
    llr = math.log((1 / 2) / (2 / 3))
    tied = np.log2(1 + np.exp(-llr)) / 2 + np.log2(1 + np.exp(llr)) * 2 / 3
    assert min_cllr([0.1, 0.5, 0.5, 0.5, 0.9], [0, 1, 0, 0, 1]) == pytest.approx(tied / 2)


@st.composite
def lists(draw):
    kinds = st.tuples(st.integers(-4, 4), st.booleans())
    pairs = [*draw(st.lists(kinds, max_size=14)), (draw(st.integers(-4, 4)), True), (0, False)]
    return np.array([s for s, _ in pairs], dtype=float), np.array([t for _, t in pairs])


@settings(max_examples=40, deadline=None)
@given(lists(), st.sampled_from([0.01, 0.05, 0.5, 0.9]))
def test_what_is_decided_costs_at_least_what_could_be(pairs, p_target):
    llrs, targets = pairs
    assert act_dcf(llrs, targets, p_target) >= metrics.min_dcf(llrs, targets, p_target) - 1e-12
    assert cllr(llrs, targets) >= min_cllr(llrs, targets) - 1e-12
    assert 0 <= min_cllr(llrs, targets) <= 1 + 1e-12


def test_the_actual_cost_by_hand():
    assert bayes_threshold(0.01) == pytest.approx(4.59512)
    assert bayes_threshold(0.05) == pytest.approx(2.94444)
    assert bayes_threshold(0.5, c_miss=10) == pytest.approx(-math.log(10))
    llrs, targets = [5.0, 4.0, 3.0, -5.0, 4.7, 0.0], [1, 1, 1, 0, 0, 0]
    # At .01: one target of three accepted, one non-target of three: 2/3 + 99 / 3.
    assert act_dcf(llrs, targets, p_target=0.01) == pytest.approx(2 / 3 + 33)
    # At .05: all targets accepted, the same non-target.
    assert act_dcf(llrs, targets, p_target=0.05) == pytest.approx(19 / 3)


def test_pairs_that_cannot_calibrate_are_refused():
    with pytest.raises(ValueError, match="do not overlap"):
        fit([0.1, 0.2, 0.8], [0, 0, 1])
    with pytest.raises(ValueError, match="do not score above"):
        fit([0.9, 0.1, 0.8, 0.2], [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"prior must lie in \(0, 1\), got 1"):
        fit([0.9, 0.1, 0.8, 0.2], [1, 1, 0, 0], 1.0)
    with pytest.raises(ValueError, match="no non-target pair"):
        fit([0.9, 0.1], [1, 1])
    with pytest.raises(ValueError, match="p_target=0"):
        act_dcf([0.1, 0.2], [0, 1], p_target=0.0)
