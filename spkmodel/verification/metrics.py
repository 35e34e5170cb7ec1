"""How well scores tell targets from non-targets: rates, EER, minDCF and their uncertainty.

A pair is accepted if and only if its score is at or above the threshold. Operating points lie at
the distinct scores and beyond the highest one, so that equal scores stand or fall together and
the order of the pairs does not matter. All rates are fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

Numbers: TypeAlias = ArrayLike | Sequence[Any]
_CHUNK = 2_000_000  # weights held at once by the bootstrap: 16 MB an array


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval that covers the truth in a share `level` of repetitions."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class DetCurve:
    """Error rates at every operating point, from accept-all to reject-all (threshold inf)."""

    thresholds: Float[np.ndarray, " points"]
    miss: Float[np.ndarray, " points"]
    false_alarm: Float[np.ndarray, " points"]


def eer(scores: Numbers, targets: Numbers) -> float:
    """Equal error rate by linear interpolation on the ROC: 0 when separated, 0.5 when all tie."""
    ranking = _rank(scores, targets)
    ones = np.ones((1, ranking.pairs))
    return float(_weighted_eers(ranking, ones)[0])


def eer_clova(scores: Numbers, targets: Numbers) -> float:
    """The larger error rate at the ROC corner where the two are closest.

    The rule of voxceleb_trainer, for comparison with numbers published with it. Its corners are
    those of sklearn's `roc_curve`, which leaves out points that continue the step before them.
    """
    ranking = _rank(scores, targets)
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
    """Equal error rate of the ROC's convex hull (BOSARIS); never above `eer`."""
    ranking = _rank(scores, targets)
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
    """Lowest detection cost of any threshold, over that of deciding blindly: in [0, 1]."""
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
    """Both error rates at every threshold that makes a difference, thresholds rising."""
    ranking = _rank(scores, targets)
    return DetCurve(
        thresholds=np.append(ranking.scores, np.inf),
        miss=ranking.targets_below / ranking.targets_below[-1],
        false_alarm=ranking.nontargets_accepted / ranking.nontargets_accepted[0],
    )


def threshold_at_eer(scores: Numbers, targets: Numbers) -> float:
    """Threshold of the operating point whose error rates are closest (the stricter of two).

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
    """(miss, false alarm) of accepting the scores at or above `threshold`."""
    if np.isnan(threshold):
        raise ValueError("threshold must be a number, got nan")
    values, is_target = checked(scores, targets)
    accepted = values >= threshold
    return float(1 - accepted[is_target].mean()), float(accepted[~is_target].mean())


def bootstrap_eer(
    scores: Numbers,
    targets: Numbers,
    enrol_speakers: Numbers,
    test_speakers: Numbers,
    *,
    replicates: int = 2000,
    seed: int = 0,
) -> Interval:
    """95 % interval of `eer` when the speakers are a chance draw.

    Speakers are drawn with replacement; a pair counts as often as both its speakers were drawn
    together (the product of their counts, for a target the count of its one speaker). Draws that
    leave no target or no non-target are passed over.
    """
    ranking = _rank(scores, targets)
    values = _replicates([ranking], enrol_speakers, test_speakers, replicates, seed)
    return _percentiles(values[0])


def paired_bootstrap(
    scores_a: Numbers,
    scores_b: Numbers,
    targets: Numbers,
    enrol_speakers: Numbers,
    test_speakers: Numbers,
    *,
    replicates: int = 2000,
    seed: int = 0,
) -> Interval:
    """95 % interval of eer(a) - eer(b) over the same draws of speakers; see `bootstrap_eer`."""
    rankings = [_rank(scores_a, targets), _rank(scores_b, targets)]
    of_a, of_b = _replicates(rankings, enrol_speakers, test_speakers, replicates, seed)
    return _percentiles(of_a - of_b)


# --- ranking ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Pairs by rising score. Point k rejects the k lowest distinct scores."""

    scores: Float[np.ndarray, " distinct"]
    targets: Int[np.ndarray, " targets"]
    """Places of the target pairs in the list, by rising score; `nontargets` likewise."""
    nontargets: Int[np.ndarray, " nontargets"]
    targets_below: Int[np.ndarray, " points"]
    nontargets_below: Int[np.ndarray, " points"]

    @property
    def pairs(self) -> int:
        return len(self.targets) + len(self.nontargets)

    @property
    def targets_accepted(self) -> Int[np.ndarray, " points"]:
        return len(self.targets) - self.targets_below

    @property
    def nontargets_accepted(self) -> Int[np.ndarray, " points"]:
        return len(self.nontargets) - self.nontargets_below


def checked(
    scores: Numbers, targets: Numbers
) -> tuple[Float[np.ndarray, " pairs"], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Both as arrays.

    Raises:
        ValueError: if they differ in length, a score is not finite, or a class is missing.
    """
    values = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(targets)
    if values.ndim != 1 or values.shape != labels.shape:
        raise ValueError(
            "scores and targets must be two lists of one length, got shapes "
            f"{values.shape} and {labels.shape}"
        )
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(
            f"scores must be finite, got {values[first]} at index {first} "
            f"({np.count_nonzero(~finite)} of {len(values)} are not)"
        )
    is_target = labels.astype(bool)
    if not np.array_equal(is_target, labels):
        raise ValueError("targets must be true or false (or 1 or 0), got other values")
    for present, name in ((is_target, "target"), (~is_target, "non-target")):
        if not present.any():
            raise ValueError(f"error rates need pairs of both kinds, got no {name} pair")
    return values, is_target


def _rank(scores: Numbers, targets: Numbers) -> _Ranking:
    values, is_target = checked(scores, targets)
    order = np.argsort(values, kind="stable")
    ordered, is_target = values[order], is_target[order]
    distinct, starts = np.unique(ordered, return_index=True)
    below = np.append(starts, len(ordered))
    targets_below = np.append(0, np.cumsum(is_target))[below]
    return _Ranking(
        scores=distinct,
        targets=order[is_target],
        nontargets=order[~is_target],
        targets_below=targets_below,
        nontargets_below=below - targets_below,
    )


def _turn(origin: tuple[int, int], via: tuple[int, int], to: tuple[int, int]) -> int:
    """Positive for a turn to the left."""
    return (via[0] - origin[0]) * (to[1] - origin[1]) - (via[1] - origin[1]) * (to[0] - origin[0])


# --- weighted pairs --------------------------------------------------------------------------


def _weighted_eers(
    ranking: _Ranking, weights: Float[np.ndarray, "replicates pairs"]
) -> Float[np.ndarray, " replicates"]:
    """EER of each row of weights (in the list's order); both classes must have weight.

    Whole-numbered weights are compared exactly: products of their sums fit into float64.
    """
    rejected_targets = _running_sums(weights[:, ranking.targets])
    rejected_others = _running_sums(weights[:, ranking.nontargets])
    all_targets, all_others = rejected_targets[:, -1], rejected_others[:, -1]
    rows = np.arange(len(weights))

    def excess(point: np.ndarray) -> np.ndarray:
        """(miss - false alarm) at `point`, times both totals; rises with the point."""
        misses = rejected_targets[rows, ranking.targets_below[point]]
        rejected = rejected_others[rows, ranking.nontargets_below[point]]
        return misses * all_others - (all_others - rejected) * all_targets

    before = np.zeros(len(weights), dtype=np.int64)
    after = np.full(len(weights), len(ranking.scores))
    while (after - before > 1).any():
        middle = (before + after) // 2
        reached = excess(middle) >= 0
        after = np.where(reached, middle, after)
        before = np.where(reached, before, middle)
    short, over = -excess(before), excess(after)
    share = short / (short + over)
    miss_before = rejected_targets[rows, ranking.targets_below[before]]
    miss_after = rejected_targets[rows, ranking.targets_below[after]]
    return (miss_before + share * (miss_after - miss_before)) / all_targets


def _running_sums(weights: Float[np.ndarray, "replicates n"]) -> Float[np.ndarray, "replicates m"]:
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def _replicates(
    rankings: Sequence[_Ranking],
    enrol_speakers: Numbers,
    test_speakers: Numbers,
    replicates: int,
    seed: int,
) -> Float[np.ndarray, "rankings usable"]:
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, got {replicates}")
    is_target = np.zeros(rankings[0].pairs, dtype=bool)
    is_target[rankings[0].targets] = True
    speakers, enrol, test = _speaker_indices(enrol_speakers, test_speakers, is_target)
    draws = np.random.default_rng(seed).multinomial(
        speakers, np.full(speakers, 1 / speakers), size=replicates
    )
    rows = max(1, _CHUNK // len(is_target))
    chunks = []
    for start in range(0, replicates, rows):
        counts = draws[start : start + rows].astype(np.float64)
        weights = counts[:, enrol] * np.where(is_target, 1.0, counts[:, test])
        has_both = weights[:, is_target].any(axis=1) & weights[:, ~is_target].any(axis=1)
        weights = weights[has_both]
        chunks.append(np.stack([_weighted_eers(ranking, weights) for ranking in rankings]))
    values = np.concatenate(chunks, axis=1)
    if not values.size:
        raise ValueError(
            f"none of {replicates} draws of {speakers} speakers left both target and non-target "
            "pairs; an interval needs more speakers or more replicates"
        )
    return values


def _speaker_indices(
    enrol_speakers: Numbers, test_speakers: Numbers, is_target: np.ndarray
) -> tuple[int, Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Number of speakers, and each pair's two speakers as indices."""
    sides = np.asarray(enrol_speakers), np.asarray(test_speakers)
    if sides[0].shape != is_target.shape or sides[1].shape != is_target.shape:
        raise ValueError(
            f"enrol_speakers and test_speakers need one speaker for each of {len(is_target)} "
            f"pairs, got shapes {sides[0].shape} and {sides[1].shape}"
        )
    names, indices = np.unique(np.concatenate(sides), return_inverse=True)
    enrol, test = np.split(indices.astype(np.int64), 2)
    torn = np.flatnonzero(is_target & (enrol != test))
    if len(torn):
        first = torn[0]
        raise ValueError(
            "the two sides of a target pair must be one speaker, got "
            f"{names[enrol[first]]} and {names[test[first]]} at index {first}"
        )
    if len(names) < 2:
        raise ValueError("a speaker bootstrap needs at least 2 speakers, got 1")
    return len(names), enrol, test


def _percentiles(values: Float[np.ndarray, " replicates"]) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(float(low), float(high), level=0.95)
