"""Measure how much of a winner is luck: who is probably best, and by how much its figure flatters.

The EERs of several systems on the same pairs vary together with the draw of speakers, and each with
the seed it was trained with. Draws from their joint distribution say how often each system would
have the lowest EER, and how much lower the winner's EER is than what it would be on other speakers
and with another seed: the optimism of a choice of the best (Efron 1983; for a minimum of error
rates Tibshirani & Tibshirani 2009, arXiv:0908.2904).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL
from spkmodel.verification.intervals import eer_covariance
from spkmodel.verification.ranking import Numbers

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class SelectionLuck:
    """What is known of a choice among several systems, each trained with one seed or more."""

    eers: tuple[tuple[float, ...], ...]
    """By system and seed."""
    means: tuple[float, ...]
    """By system: the mean EER of its seeds."""
    p_best: tuple[float, ...]
    """By system: the probability that it is the best of them; they sum to 1."""
    optimism: float
    """By how much the winner's mean EER is expected to be lower than its true one."""
    seed_deviation: float | None
    """Standard deviation of the EER over seeds, pooled over systems; None: one seed each."""
    config_deviation: float | None
    """Of the systems' true EERs, the variance of seeds taken off; None: it is not known."""
    speakers: int

    @property
    def likeliest(self) -> int:
        """The system that is most probably the best; of equals the one with the lower mean."""
        order = range(len(self.means))
        return max(order, key=lambda place: (self.p_best[place], -self.means[place]))

    @property
    def median_seed(self) -> int:
        """Of the likeliest system, the seed whose EER is the median, the higher of two."""
        eers = self.eers[self.likeliest]
        ranked = sorted(range(len(eers)), key=lambda seed: (eers[seed], seed))
        return ranked[len(ranked) // 2]


def measure_luck(
    scores: Sequence[Sequence[Numbers]],
    targets: Numbers,
    enrol_speakers: Numbers,
    test_speakers: Numbers,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> SelectionLuck | None:
    """Measure the luck in a choice of the system with the lowest EER.

    Args:
        scores: by system and seed, of the same pairs in the same order.
        targets: whether each pair is one.
        enrol_speakers: of each pair.
        test_speakers: of each pair.
        draws: from the joint distribution.
        seed: of the draws.

    Returns:
        None with fewer speakers than an interval needs.
    """
    runs = [run for system in scores for run in system]
    system_of = np.repeat(np.arange(len(scores)), [len(system) for system in scores])
    found = eer_covariance(runs, targets, enrol_speakers, test_speakers)
    if found.speakers < LEAST_SPEAKERS_OF_AN_INTERVAL:
        return None
    weights = (system_of == np.arange(len(scores))[:, None]).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    means = weights @ found.eers
    of_speakers = weights @ found.covariance @ weights.T
    rng = np.random.default_rng(seed)
    noise = _draw_normal(rng, of_speakers, draws)
    variance, degrees = _seed_variance(found.eers, system_of, len(scores))
    if degrees:
        # The variance is estimated from few seeds, hence drawn as well (scaled inverse chi-square).
        drawn = variance * degrees / rng.chisquare(degrees, draws)
        per_system = 1 / weights.max(axis=1)
        noise += rng.standard_normal(noise.shape) * np.sqrt(drawn[:, None] / per_system)
    values = means + noise
    winners = values.argmin(axis=1)
    p_best = np.bincount(winners, minlength=len(scores)) / draws
    optimism = float((means[winners] - values[np.arange(draws), winners]).mean())
    return SelectionLuck(
        eers=tuple(tuple(map(float, found.eers[system_of == k])) for k in range(len(scores))),
        means=tuple(map(float, means)),
        p_best=tuple(map(float, p_best)),
        optimism=optimism,
        seed_deviation=math.sqrt(variance) if degrees else None,
        config_deviation=_config_deviation(means, variance, weights) if degrees else None,
        speakers=found.speakers,
    )


def _draw_normal(
    rng: np.random.Generator, covariance: Float[np.ndarray, "systems systems"], draws: int
) -> Float[np.ndarray, "draws systems"]:
    # An estimate from dyads need not be positive semidefinite: what is negative is taken for 0.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal: Float[np.ndarray, "draws systems"] = rng.standard_normal((draws, len(values))) @ root.T
    return normal


def _seed_variance(
    eers: Float[np.ndarray, " runs"], system_of: np.ndarray, systems: int
) -> tuple[float, int]:
    """Return the pooled variance within systems, and its degrees of freedom."""
    degrees = len(eers) - systems
    if degrees == 0:
        return 0.0, 0
    means = np.bincount(system_of, eers) / np.bincount(system_of)
    return float(((eers - means[system_of]) ** 2).sum()) / degrees, degrees


def _config_deviation(
    means: Float[np.ndarray, " systems"],
    variance: float,
    weights: Float[np.ndarray, "systems runs"],
) -> float | None:
    if len(means) < 2:
        return None
    of_seeds = variance * float((weights**2).sum(axis=1).mean())
    return math.sqrt(max(0.0, float(means.var(ddof=1)) - of_seeds))
