"""Bootstrap intervals of the EER over speakers.

Figures that are shown have their intervals from `intervals`, which are right for sparse lists too;
the bootstrap is part of the Python contract, and what `bench.intervals` compares with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spkmodel.verification.ranking import Numbers, Ranking, rank_scores, weighted_eers
from spkmodel.verification.speaker_sides import index_speakers

_WEIGHTS_AT_ONCE = 2_000_000  # weights held at once by the bootstrap: 16 MB an array


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile interval that covers the truth in a share `level` of repetitions."""

    low: float
    high: float
    level: float = 0.95


def bootstrap_eer(
    scores: Numbers,
    targets: Numbers,
    enrol_speakers: Numbers,
    test_speakers: Numbers,
    *,
    replicates: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the 95 % interval of `eer` when the speakers are a chance draw.

    Speakers are drawn with replacement; a pair counts as often as both its speakers were drawn
    together (the product of their counts, for a target the count of its one speaker). Draws that
    leave no target or no non-target are skipped.
    """
    ranking = rank_scores(scores, targets)
    values = _replicate_eers([ranking], enrol_speakers, test_speakers, replicates, seed)
    return _interval_of(values[0])


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
    """Return the 95 % interval of eer(a) - eer(b) over the same draws of speakers."""
    rankings = [rank_scores(scores_a, targets), rank_scores(scores_b, targets)]
    of_a, of_b = _replicate_eers(rankings, enrol_speakers, test_speakers, replicates, seed)
    return _interval_of(of_a - of_b)


def _replicate_eers(
    rankings: Sequence[Ranking],
    enrol_speakers: Numbers,
    test_speakers: Numbers,
    replicates: int,
    seed: int,
) -> Float[np.ndarray, "rankings usable"]:
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, got {replicates}")
    is_target = np.zeros(rankings[0].pairs, dtype=bool)
    is_target[rankings[0].targets] = True
    sides = index_speakers(enrol_speakers, test_speakers, rankings[0])
    speakers = sides.speakers
    if speakers < 2:
        raise ValueError("a speaker bootstrap needs at least 2 speakers, got 1")
    draws = np.random.default_rng(seed).multinomial(
        speakers, np.full(speakers, 1 / speakers), size=replicates
    )
    rows = max(1, _WEIGHTS_AT_ONCE // len(is_target))
    chunks = []
    for start in range(0, replicates, rows):
        counts = draws[start : start + rows].astype(np.float64)
        # Speakers, not pairs, are drawn: pairs of one speaker are not independent.
        weights = counts[:, sides.enrol] * np.where(is_target, 1.0, counts[:, sides.test])
        has_both = weights[:, is_target].any(axis=1) & weights[:, ~is_target].any(axis=1)
        weights = weights[has_both]
        chunks.append(np.stack([weighted_eers(ranking, weights) for ranking in rankings]))
    values = np.concatenate(chunks, axis=1)
    if not values.size:
        raise ValueError(
            f"none of {replicates} draws of {speakers} speakers left both target and non-target "
            "pairs; an interval needs more speakers or more replicates"
        )
    return values


def _interval_of(values: Float[np.ndarray, " replicates"]) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(float(low), float(high), level=0.95)
