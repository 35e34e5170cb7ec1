"""Simulate lists of pairs with speakers that are easier and harder than others."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

_TARGET_SHARE, _NONTARGET_SHARE = 0.4, 0.3
"""Of the variance of target and of non-target scores that is the speakers'."""
SYSTEM_NOISE = 0.6
"""Deviation of what two systems of equal quality score differently, in deviations of a score."""


@dataclass(frozen=True, slots=True)
class SimulatedList:
    """Scores of two equal systems and of one that is better, and the speakers of the pairs."""

    scores: np.ndarray
    equal: tuple[np.ndarray, np.ndarray]
    better: np.ndarray
    targets: np.ndarray
    enrol: np.ndarray
    test: np.ndarray


def simulate(
    rng: np.random.Generator, speakers: int, eer: float, *, dense: bool, gain: float = 0.25
) -> SimulatedList:
    """Draw speakers and scores whose EER over all speakers there could be is `eer`.

    A target score is 2 z + a_i + e, a non-target score b_i + b_j + e, all normal, each sum of
    variance 1, z the normal quantile of 1 - `eer`.

    Args:
        rng: what all is drawn from.
        speakers: of the list.
        eer: the true one, of the first system.
        dense: several non-target pairs of each two speakers; else about one, and as many as there
            are target pairs.
        gain: by how many deviations the better system's target scores are higher.
    """
    hardness = rng.normal(0, np.sqrt(_TARGET_SHARE), speakers)
    likeness = rng.normal(0, np.sqrt(_NONTARGET_SHARE / 2), speakers)
    same = np.repeat(np.arange(speakers), 15 if dense else 8)
    one, other = _nontarget_sides(rng, speakers, len(same), dense=dense)
    target_scores = 2 * stats.norm.ppf(1 - eer) + hardness[same]
    target_scores += rng.normal(0, np.sqrt(1 - _TARGET_SHARE), len(same))
    other_scores = likeness[one] + likeness[other]
    other_scores += rng.normal(0, np.sqrt(1 - _NONTARGET_SHARE), len(one))
    scores = np.concatenate([target_scores, other_scores])
    targets = np.arange(len(scores)) < len(same)
    first, second = (scores + rng.normal(0, SYSTEM_NOISE, len(scores)) for _ in range(2))
    return SimulatedList(
        scores=scores,
        equal=(first, second),
        better=second + gain * targets,
        targets=targets,
        enrol=np.concatenate([same, one]),
        test=np.concatenate([same, other]),
    )


def _nontarget_sides(
    rng: np.random.Generator, speakers: int, count: int, *, dense: bool
) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.triu_indices(speakers, 1)
    if dense:
        times = min(20, 6000 // len(one) + 4)
        return np.repeat(one, times), np.repeat(other, times)
    chosen = rng.choice(len(one), min(count, len(one)), replace=False)
    return one[chosen], other[chosen]
