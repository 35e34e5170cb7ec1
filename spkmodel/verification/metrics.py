"""Measure how well scores separate targets from non-targets: rates, EER and minDCF.

A pair is accepted if and only if its score is at or above the threshold; `ranking` says which
thresholds there are, `bootstrap` how certain an EER is. All rates are fractions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spkmodel.verification.ranking import Numbers, check_scores, rank_scores, weighted_eers


@dataclass(frozen=True, slots=True)
class DetCurve:
    """Error rates at every operating point, from accept-all to reject-all (threshold inf)."""

    thresholds: Float[np.ndarray, " points"]
    miss: Float[np.ndarray, " points"]
    false_alarm: Float[np.ndarray, " points"]


def eer(scores: Numbers, targets: Numbers) -> float:
    """Return the EER by linear interpolation on the ROC: 0 if separated, 0.5 if all scores tie."""
    ranking = rank_scores(scores, targets)
    ones = np.ones((1, ranking.pairs))
    return float(weighted_eers(ranking, ones)[0])


def eer_clova(scores: Numbers, targets: Numbers) -> float:
    """Return the larger error rate at the ROC corner where the two are closest.

    The rule of voxceleb_trainer, for comparison with numbers published with it. Its corners are
    those of sklearn's `roc_curve`, which leaves out points that continue the step before them.
    """
    ranking = rank_scores(scores, targets)
    accepted_targets = ranking.targets_accepted[-2::-1]  # threshold falling, reject-all left out
    accepted_others = ranking.nontargets_accepted[-2::-1]
    turns = (np.diff(accepted_targets, 2) != 0) | (np.diff(accepted_others, 2) != 0)
    corner = np.ones(len(accepted_targets), dtype=bool)
    corner[1:-1] = turns
    hit = np.append(0, accepted_targets[corner]) / accepted_targets[-1]
    false_alarm = np.append(0, accepted_others[corner]) / accepted_others[-1]
    miss = 1 - hit
    nearest = int(np.argmin(np.abs(miss - false_alarm)))
    return float(max(miss[nearest], false_alarm[nearest]))


def eer_rocch(scores: Numbers, targets: Numbers) -> float:
    """Return the equal error rate of the ROC's convex hull (BOSARIS); never above `eer`."""
    ranking = rank_scores(scores, targets)
    misses = ranking.targets_below[::-1].tolist()
    false_alarms = ranking.nontargets_accepted[::-1].tolist()
    hull: list[tuple[int, int]] = []
    for point in zip(false_alarms, misses, strict=True):
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    rates = np.array(hull) / (false_alarms[-1], misses[0])
    after = int(np.argmax(rates[:, 0] >= rates[:, 1]))
    (fa0, miss0), (fa1, miss1) = rates[after - 1], rates[after]
    share = (miss0 - fa0) / (miss0 - fa0 + fa1 - miss1)
    return float(fa0 + share * (fa1 - fa0))


def min_dcf(
    scores: Numbers,
    targets: Numbers,
    p_target: float,
    c_miss: float | int = 1,
    c_fa: float | int = 1,
) -> float:
    """Return the normalised minDCF, the lowest of any threshold: in [0, 1]."""
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            "min_dcf takes p_target in (0, 1) and positive costs, got "
            f"p_target={p_target}, c_miss={c_miss}, c_fa={c_fa}"
        )
    curve = det_curve(scores, targets)
    miss_cost, false_alarm_cost = c_miss * p_target, c_fa * (1 - p_target)
    cost = miss_cost * curve.miss + false_alarm_cost * curve.false_alarm
    return float(cost.min() / min(miss_cost, false_alarm_cost))


def det_curve(scores: Numbers, targets: Numbers) -> DetCurve:
    """Return both error rates at every threshold that makes a difference, thresholds rising."""
    ranking = rank_scores(scores, targets)
    return DetCurve(
        thresholds=np.append(ranking.scores, np.inf),
        miss=ranking.targets_below / ranking.targets_below[-1],
        false_alarm=ranking.nontargets_accepted / ranking.nontargets_accepted[0],
    )


def threshold_at_eer(scores: Numbers, targets: Numbers) -> float:
    """Return the threshold of the point whose error rates are closest (the stricter of two).

    It lies midway between the distinct scores on both sides of that point; for accept-all it is
    the lowest score, for reject-all the next number above the highest.
    """
    curve = det_curve(scores, targets)
    gaps = np.abs(curve.miss - curve.false_alarm)
    # Equally near points differ by rounding only; the last of them is the strictest.
    point = int(np.flatnonzero(gaps <= gaps.min() + 1e-12)[-1])
    above = float(curve.thresholds[point])
    if point == 0:
        return above
    below = float(curve.thresholds[point - 1])
    if np.isinf(above):
        return float(np.nextafter(below, np.inf))
    middle = below / 2 + above / 2
    return middle if middle > below else above  # neighbouring floats have nothing between them


def rates_at(scores: Numbers, targets: Numbers, threshold: float | int) -> tuple[float, float]:
    """Return (miss, false alarm) of accepting the scores at or above `threshold`."""
    if np.isnan(threshold):
        raise ValueError("threshold must be a number, got nan")
    values, is_target = check_scores(scores, targets)
    accepted = values >= threshold
    return float(1 - accepted[is_target].mean()), float(accepted[~is_target].mean())


def _turn(origin: tuple[int, int], via: tuple[int, int], to: tuple[int, int]) -> int:
    """Return the turn from `origin` over `via` to `to`: positive to the left."""
    return (via[0] - origin[0]) * (to[1] - origin[1]) - (via[1] - origin[1]) * (to[0] - origin[0])
