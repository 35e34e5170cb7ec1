"""The band around a DET curve covers the true misses, and follows the curve."""

import numpy as np
import pytest
from scipy import stats

from bench.intervals.lists import simulate
from spkmodel.verification.det_band import det_band


def drawn(seed, speakers=30, eer=0.1):
    found = simulate(np.random.default_rng(seed), speakers, eer, dense=True)
    return found.scores, found.targets, found.enrol, found.test


def test_the_band_covers_the_true_misses_about_as_often_as_it_says():
    # Targets are N(2 z, 1), non-targets N(0, 1): at a false-alarm rate f the misses are known.
    covered, points = 0, 0
    centre = 2 * stats.norm.ppf(0.9)
    for seed in range(60):
        band = det_band(*drawn(seed))
        for wanted in (0.05, 0.1, 0.3):
            place = int(np.argmin(abs(band.false_alarm - wanted)))
            rate = float(band.false_alarm[place])
            truth = float(stats.norm.cdf(stats.norm.isf(rate) - centre))
            covered += bool(band.low[place] <= truth <= band.high[place])
            points += 1
    assert 0.92 <= covered / points < 1


def test_the_band_holds_the_curve_and_falls_with_it():
    scores, targets, enrol, test = drawn(1)
    band = det_band(scores, targets, enrol, test)
    for rate, low, high in zip(band.false_alarm, band.low, band.high, strict=True):
        threshold = np.quantile(scores[~targets], 1 - rate)
        miss = (scores[targets] < threshold).mean()
        assert low - 0.01 <= miss <= high + 0.01
    assert band.high[0] > band.high[-1]
    assert (np.diff(band.false_alarm) >= 0).all()


def test_few_speakers_have_no_band():
    assert det_band(*drawn(0, speakers=3)) is None


def test_separated_scores_have_no_point():
    scores, targets, enrol, test = drawn(0)
    band = det_band(np.where(targets, 10.0, 0.0) + 0.01 * scores, targets, enrol, test)
    assert len(band.false_alarm) == 0


def test_what_is_no_list_of_pairs_is_refused():
    scores, targets, enrol, test = drawn(0)
    with pytest.raises(ValueError, match="speakers"):
        det_band(scores, targets, enrol[:-1], test)
