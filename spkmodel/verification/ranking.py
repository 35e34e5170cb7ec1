"""Rank the pairs of a list by score, and compute their EER, with a weight for each pair.

A pair is accepted if and only if its score is at or above the threshold. Operating points lie at
the distinct scores and beyond the highest one, so that equal scores stand or fall together and
the order of the pairs does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

Numbers: TypeAlias = ArrayLike | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The pairs of a list by rising score. Point k rejects the k lowest distinct scores."""

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


def check_scores(
    scores: Numbers, targets: Numbers
) -> tuple[Float[np.ndarray, " pairs"], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return scores and labels as arrays, after checking them.

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


def rank_scores(scores: Numbers, targets: Numbers) -> Ranking:
    """Rank the pairs by score; see `check_scores` for the errors."""
    values, is_target = check_scores(scores, targets)
    order = np.argsort(values, kind="stable")
    ordered, is_target = values[order], is_target[order]
    distinct, starts = np.unique(ordered, return_index=True)
    below = np.append(starts, len(ordered))
    targets_below = np.append(0, np.cumsum(is_target))[below]
    return Ranking(
        scores=distinct,
        targets=order[is_target],
        nontargets=order[~is_target],
        targets_below=targets_below,
        nontargets_below=below - targets_below,
    )


def weighted_eers(
    ranking: Ranking, weights: Float[np.ndarray, "replicates pairs"]
) -> Float[np.ndarray, " replicates"]:
    """Return the EER for each row of weights, in the list's order; both classes have weight."""
    # Error rates are compared as products of whole numbers, which float64 holds exactly: divided
    # first, rounding would decide which of two equal points is the crossing.
    rejected_targets = _running_sums(weights[:, ranking.targets])
    rejected_others = _running_sums(weights[:, ranking.nontargets])
    all_targets, all_others = rejected_targets[:, -1], rejected_others[:, -1]
    rows = np.arange(len(weights))

    def excess(point: np.ndarray) -> np.ndarray:
        """Return (miss - false alarm) at `point`, times both totals; it rises with the point."""
        misses = rejected_targets[rows, ranking.targets_below[point]]
        rejected = rejected_others[rows, ranking.nontargets_below[point]]
        return misses * all_others - (all_others - rejected) * all_targets

    # A binary search for the crossing, in all rows at once: the excess rises with the point.
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
