"""The variance of a figure over the draw of speakers, from the influence of each pair on it."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from spkmodel.verification.speaker_sides import SpeakerSides

LEVEL = 0.95
_BANDWIDTH = 1.5
"""Times Silverman's: a density at one point of few scores, of which a ratio is taken."""


def t_quantile(degrees: float) -> float:
    """Return the quantile of Student's t that a two-sided 95 % interval takes."""
    # Not scipy.stats: it takes 38 MB of every training process, this a quarter of it.
    return float(special.stdtrit(max(1.0, degrees), 0.5 + LEVEL / 2))


def density(scores: Float[np.ndarray, " scores"], at: float) -> float:
    """Return the density of scores at a point, by a Gaussian kernel."""
    if len(scores) < 2:
        return 0.0
    quartiles = np.percentile(scores, [25, 75])
    deviation = float(scores.std(ddof=1))
    spread = min(deviation, float(quartiles[1] - quartiles[0]) / 1.349) or deviation
    if spread == 0:
        return 0.0
    width = _BANDWIDTH * 1.06 * spread * len(scores) ** -0.2
    return float(np.exp(-0.5 * ((scores - at) / width) ** 2).mean() / width)


def sum_by_speaker(
    influence: Float[np.ndarray, " pairs"], sides: SpeakerSides
) -> Float[np.ndarray, " speakers"]:
    """Return the sum of the influence of each speaker's pairs; a pair of two counts for both."""
    sums = np.bincount(sides.enrol, influence, sides.speakers)
    others = sides.enrol != sides.test
    return sums + np.bincount(sides.test[others], influence[others], sides.speakers)


def variance_over_speakers(
    influence: Float[np.ndarray, " pairs"],
    by_speaker: Float[np.ndarray, " speakers"],
    sides: SpeakerSides,
) -> float:
    """Return the sum of products over all pairs of pairs that share a speaker."""
    dyads, is_self = _index_dyads(sides)
    by_dyad = np.bincount(dyads, influence)
    # Pairs of the same two speakers are in the sums of both, and would count twice.
    shared = float((by_speaker**2).sum() - (by_dyad[~is_self] ** 2).sum())
    # By chance the estimate may be near 0, or below: half of what independent dyads would have
    # is its floor.
    floor = 0.5 * float((by_dyad**2).sum())
    return max(shared, floor) * sides.speakers / (sides.speakers - 1)


def covariance_over_speakers(
    influence: Float[np.ndarray, "systems pairs"], sides: SpeakerSides
) -> Float[np.ndarray, "systems systems"]:
    """Return the covariance of several figures of the same pairs; variances as above."""
    by_speaker = np.stack([sum_by_speaker(each, sides) for each in influence])
    dyads, is_self = _index_dyads(sides)
    of_two = np.stack([np.bincount(dyads, each) for each in influence])[:, ~is_self]
    shared = by_speaker @ by_speaker.T - of_two @ of_two.T
    covariance: Float[np.ndarray, "systems systems"] = (
        shared * sides.speakers / max(1, sides.speakers - 1)
    )
    for place, each in enumerate(influence):
        covariance[place, place] = variance_over_speakers(each, by_speaker[place], sides)
    return covariance


def _index_dyads(
    sides: SpeakerSides,
) -> tuple[Int[np.ndarray, " pairs"], Bool[np.ndarray, " dyads"]]:
    """Return for each pair which two speakers it is of, and for each two whether they are one."""
    low, high = np.minimum(sides.enrol, sides.test), np.maximum(sides.enrol, sides.test)
    found, dyads = np.unique(low * sides.speakers + high, return_inverse=True)
    is_self = np.zeros(len(found), dtype=bool)
    is_self[dyads[sides.enrol == sides.test]] = True
    return dyads, is_self


def effective_speakers(by_speaker: Float[np.ndarray, " speakers"]) -> float:
    """Return how many speakers decide, as if each had as much influence: at most all."""
    squares = by_speaker**2
    fourth = float((squares**2).sum())
    return float(squares.sum()) ** 2 / fourth if fourth > 0 else float(len(by_speaker))
