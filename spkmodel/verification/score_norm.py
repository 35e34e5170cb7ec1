"""Normalise scores adaptively, by what both sides score against a cohort of strangers.

Matejka et al. 2017, "Analysis of score normalization in multilingual speaker recognition"
(Interspeech), names the two conventions.
"""

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int

Selection: TypeAlias = Literal["own", "cross"]
CohortScores: TypeAlias = Float[np.ndarray, "utterances cohort"]
Against: TypeAlias = Callable[[Int[np.ndarray, " utterances"]], CohortScores]
"""The scores of some utterances, by their places, against every member of the cohort."""

_CHUNK = 4096
"""Utterances or pairs looked at once: a list of any length takes the same memory."""
_LEAST_DEVIATION = 1e-9


def as_norm(
    scores: Float[np.ndarray, " pairs"],
    sides: Int[np.ndarray, "pairs 2"],
    against: Against,
    top: int,
    selection: Selection = "own",
) -> Float[np.ndarray, " pairs"]:
    """Compute 1/2 [(s - mean_e) / std_e + (s - mean_t) / std_t], with deviations of ddof 0.

    Args:
        scores: of the pairs.
        sides: each pair as the places of its enrolment and its test among the utterances.
        against: what the utterances score against the cohort.
        top: how many members, those with the highest scores, make a mean and a deviation.
        selection: own (AS-norm1): each side's members are those nearest to itself. cross
            (AS-norm2): they are those nearest to the other side.

    Raises:
        ValueError: if `top` is less than 2 or more than the cohort, or scores do not vary in it.
    """
    if selection not in ("own", "cross"):
        raise ValueError(f"selection must be own or cross, got {selection!r}")
    if not len(sides):
        return scores
    utterances = np.arange(sides.max() + 1)
    members = against(utterances[:1]).shape[1]
    if not 2 <= top <= members:
        raise ValueError(
            f"AS-norm takes the 2 to {members} highest scores against a cohort of {members}, "
            f"got top {top}"
        )
    chosen = np.concatenate([_nearest(against(part), top) for part in _chunks(utterances)])
    normalised = np.zeros(len(scores))
    for one, other in (sides.T, sides.T[::-1]):
        mean, deviation = _moments(against, one, chosen, one if selection == "own" else other)
        normalised += (scores - mean) / deviation / 2
    return normalised


def _nearest(cohort_scores: CohortScores, top: int) -> Int[np.ndarray, "utterances top"]:
    # Partitioned, not sorted: only which members are the nearest matters.
    first = cohort_scores.shape[1] - top
    return np.argpartition(cohort_scores, first, axis=1)[:, first:].astype(np.int32)


def _moments(
    against: Against,
    side: Int[np.ndarray, " pairs"],
    chosen: Int[np.ndarray, "utterances top"],
    chooser: Int[np.ndarray, " pairs"],
) -> tuple[Float[np.ndarray, " pairs"], Float[np.ndarray, " pairs"]]:
    """Return mean and deviation of one side of each pair over its chooser's nearest members."""
    # Each utterance and chooser once: lists repeat the same enrolment hundreds of times.
    asked, of_pair = np.unique(np.stack([side, chooser]), axis=1, return_inverse=True)
    means, deviations = np.empty(asked.shape[1]), np.empty(asked.shape[1])
    for part in _chunks(np.arange(asked.shape[1])):
        places, row = np.unique(asked[0, part], return_inverse=True)
        scores = against(places)[row[:, None], chosen[asked[1, part]]]
        means[part], deviations[part] = scores.mean(axis=1), scores.std(axis=1)
    if deviations.min() < _LEAST_DEVIATION:
        raise ValueError(
            f"the {chosen.shape[1]} highest scores of an utterance against the cohort are all the "
            "same; AS-norm needs a cohort of different voices"
        )
    return means[of_pair], deviations[of_pair]


def _chunks(places: Int[np.ndarray, " n"]) -> Iterator[Int[np.ndarray, " _m"]]:
    for start in range(0, len(places), _CHUNK):
        yield places[start : start + _CHUNK]
