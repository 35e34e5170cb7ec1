"""The pictures: what is drawn, where, and how large."""

import struct

import numpy as np
import pytest

from search.reporting import det_figure, formatting
from spkmodel.verification import metrics


def curve(rng, name="clean", pairs=400, distance=3.0, baselines=()):
    targets = np.arange(pairs) % 2 == 0
    scores = rng.normal(np.where(targets, 0.1 * distance, 0.0), 0.1)
    eer = metrics.eer(scores, targets)
    threshold = metrics.threshold_at_eer(scores, targets)
    return det_figure.Curve(name, scores, targets, eer, 0.8 * eer, 1.2 * eer, threshold, baselines)


def size_of(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_both_pictures_are_1000_pixels_wide(rng, tmp_path):
    one = curve(rng)
    floor = det_figure.Baseline("mel statistics, cosine", 0.2, rng.normal(size=400))
    two = curve(rng, "mismatched", distance=1.5, baselines=(floor,))
    det_figure.draw_det(tmp_path / "det.png", [one, two], "night/t0003", "a list")
    det_figure.draw_histogram(tmp_path / "histogram.png", [one, two], "night/t0003", "a list")
    assert size_of(tmp_path / "det.png")[0] == 1000
    assert size_of(tmp_path / "histogram.png")[0] == 1000


@pytest.mark.parametrize("case", ["perfect", "all_tied", "reversed", "two_pairs"])
def test_extreme_scores_are_drawn(case, tmp_path):
    targets = np.array([True, True, False, False])
    scores = {
        "perfect": np.array([0.9, 0.8, 0.1, 0.2]),
        "all_tied": np.full(4, 0.5),
        "reversed": np.array([0.1, 0.2, 0.9, 0.8]),
        "two_pairs": np.array([0.9, 0.1]),
    }[case]
    targets = targets if len(scores) == 4 else np.array([True, False])
    eer = metrics.eer(scores, targets)
    drawn = det_figure.Curve("clean", scores, targets, eer, eer, eer, float(scores.mean()))
    det_figure.draw_det(tmp_path / "det.png", [drawn], case, "")
    det_figure.draw_histogram(tmp_path / "histogram.png", [drawn], case, "")
    assert size_of(tmp_path / "det.png")[0] == 1000


def test_gaussian_scores_lie_on_a_straight_line_of_the_probit_axes(rng):
    drawn = curve(rng, pairs=40_000, distance=2.0)
    miss, false_alarm = det_figure.det_points(drawn.scores, drawn.targets)
    inside = (miss > 0.02) & (miss < 0.6) & (false_alarm > 0.02) & (false_alarm < 0.6)
    across = det_figure.probit(false_alarm[inside], 0.001)
    up = det_figure.probit(miss[inside], 0.001)
    assert np.corrcoef(across, up)[0, 1] < -0.999


def test_the_marked_points_lie_inside_the_axes(rng):
    drawn = [curve(rng, pairs=2000, distance=distance) for distance in (4.0, 2.0)]
    lines = [line for each in drawn for line in det_figure._lines_of_curve(each, "red")]
    low, high = det_figure._limits(drawn, lines)
    assert low < min(each.eer for each in drawn) < max(each.eer for each in drawn) < high
    for line in lines:
        place, cost = line.find_lowest_cost(0.05)
        assert line.miss[place] <= high
        targets = drawn[lines.index(line)].targets
        scores = drawn[lines.index(line)].scores
        assert cost == pytest.approx(metrics.min_dcf(scores, targets, p_target=0.05))


def test_a_rate_is_shown_in_percent():
    assert formatting.format_percent(0.03125) == "3.12 %"
