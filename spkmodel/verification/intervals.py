"""Intervals of the EER, and of a difference of two, when the speakers of a list are a chance draw.

The variance comes from influence functions that are summed by speaker (Fafchamps & Gubert 2007;
Aronow, Samii & Assenova 2015, arXiv:1312.3398, eq. 2): two pairs vary together if they share a
speaker. A bootstrap over the speakers of both sides counts the noise of the pairs themselves twice:
where there is about one non-target pair of each two speakers, its intervals are 1.2 to 1.35 times
too wide. `docs/decisions/34` compares both by simulation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL as LEAST_SPEAKERS
from spkmodel.verification.ranking import Numbers, Ranking, rank_scores
from spkmodel.verification.speaker_sides import index_speakers
from spkmodel.verification.speaker_variance import (
    LEVEL,
    covariance_over_speakers,
    density,
    effective_speakers,
    sum_by_speaker,
    t_quantile,
    variance_over_speakers,
)


@dataclass(frozen=True, slots=True)
class SpeakerInterval:
    """A 95 % interval over the draw of speakers, or the reason why there is none."""

    low: float | None
    high: float | None
    speakers: int
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The EER of one system minus that of another on the same pairs, and how certain it is."""

    difference: float
    interval: SpeakerInterval
    """Of the difference."""
    first_is_lower: float | None
    """Probability that the first system has the lower EER over all speakers; None with few."""


def eer_interval(
    scores: Numbers, targets: Numbers, enrol_speakers: Numbers, test_speakers: Numbers
) -> SpeakerInterval:
    """Return the 95 % interval of `metrics.eer`.

    It is symmetric on the logistic scale, with quantiles of Student's t. Without an error it is
    one-sided: the largest rate at which as many speakers would all be free of errors in 5 % of
    draws, 1 - 0.05^(1/speakers).

    Raises:
        ValueError: for scores or speakers that do not fit the pairs.
    """
    ranking = rank_scores(scores, targets)
    sides = index_speakers(enrol_speakers, test_speakers, ranking)
    if sides.speakers < LEAST_SPEAKERS:
        return _too_few(sides.speakers)
    operating = _operating_point(ranking)
    if operating.eer <= 0 or operating.eer >= 1:
        bound = 1 - (1 - LEVEL) ** (1 / sides.speakers)
        low, high = (0.0, bound) if operating.eer <= 0 else (1 - bound, 1.0)
        return SpeakerInterval(low, high, sides.speakers)
    influence = _influence(ranking, operating)
    by_speaker = sum_by_speaker(influence, sides)
    deviation = math.sqrt(
        max(
            variance_over_speakers(influence, by_speaker, sides),
            # Ties leave no influence at all; a rate of pairs is never known better than this.
            _binomial_variance(ranking, operating),
        )
    )
    # Where a few speakers have most of the errors, the variance is known as badly as from so few.
    quantile = t_quantile(effective_speakers(by_speaker) - 1)
    eer = operating.eer
    centre, half = math.log(eer / (1 - eer)), quantile * deviation / (eer * (1 - eer))
    low, high = (1 / (1 + math.exp(-min(700.0, x))) for x in (centre - half, centre + half))
    return SpeakerInterval(low, high, sides.speakers)


def difference_interval(
    scores_a: Numbers,
    scores_b: Numbers,
    targets: Numbers,
    enrol_speakers: Numbers,
    test_speakers: Numbers,
) -> SpeakerInterval:
    """Return the 95 % interval of eer(a) - eer(b), two systems on the same pairs.

    What both have in common, such as a hard speaker, cancels. Systems that score alike have an
    interval of no width at 0.

    Raises:
        ValueError: for scores or speakers that do not fit the pairs.
    """
    return compare_eers(scores_a, scores_b, targets, enrol_speakers, test_speakers).interval


def compare_eers(
    scores_a: Numbers,
    scores_b: Numbers,
    targets: Numbers,
    enrol_speakers: Numbers,
    test_speakers: Numbers,
) -> Comparison:
    """Return eer(a) - eer(b) with its 95 % interval, and the probability that it is negative.

    Student's t stands for what is not known of the difference, as in its interval: the two say the
    same. Systems that score alike are each as likely the better one.

    Raises:
        ValueError: for scores or speakers that do not fit the pairs.
    """
    rankings = [rank_scores(scores, targets) for scores in (scores_a, scores_b)]
    sides = index_speakers(enrol_speakers, test_speakers, rankings[0])
    operating = [_operating_point(ranking) for ranking in rankings]
    difference = operating[0].eer - operating[1].eer
    if sides.speakers < LEAST_SPEAKERS:
        return Comparison(difference, _too_few(sides.speakers), None)
    influence = _influence(rankings[0], operating[0]) - _influence(rankings[1], operating[1])
    by_speaker = sum_by_speaker(influence, sides)
    deviation = math.sqrt(variance_over_speakers(influence, by_speaker, sides))
    # Half way between the speakers that there are and those that decide: with the former alone two
    # equal systems of 10 speakers are called different in 8 % of lists, with the latter in 2 %.
    decisive = (sides.speakers + effective_speakers(by_speaker)) / 2
    degrees = max(1.0, decisive - 1)
    half = t_quantile(degrees) * deviation
    interval = SpeakerInterval(
        max(-1.0, difference - half), min(1.0, difference + half), sides.speakers
    )
    standard = -difference / deviation if deviation > 0 else 0.0
    return Comparison(difference, interval, float(special.stdtr(degrees, standard)))


@dataclass(frozen=True, slots=True, eq=False)
class EerCovariance:
    """EERs of several systems on the same pairs, and how they vary with the draw of speakers."""

    eers: Float[np.ndarray, " systems"]
    covariance: Float[np.ndarray, "systems systems"]
    speakers: int


def eer_covariance(
    scores: Sequence[Numbers], targets: Numbers, enrol_speakers: Numbers, test_speakers: Numbers
) -> EerCovariance:
    """Return the EERs of systems on the same pairs with their covariance over the speakers.

    Raises:
        ValueError: for scores or speakers that do not fit the pairs.
    """
    rankings = [rank_scores(each, targets) for each in scores]
    sides = index_speakers(enrol_speakers, test_speakers, rankings[0])
    operating = [_operating_point(ranking) for ranking in rankings]
    influence = np.stack([_influence(*each) for each in zip(rankings, operating, strict=True)])
    eers = np.array([each.eer for each in operating])
    return EerCovariance(eers, covariance_over_speakers(influence, sides), sides.speakers)


def _too_few(speakers: int) -> SpeakerInterval:
    reason = f"{speakers} speakers; an interval needs at least {LEAST_SPEAKERS}"
    return SpeakerInterval(None, None, speakers, reason)


# --- the influence of each pair ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OperatingPoint:
    """Where both error rates are equal: between two points of the ranking."""

    eer: float
    before: int
    share: float
    """Of the way to the next point."""


def _operating_point(ranking: Ranking) -> _OperatingPoint:
    misses = ranking.targets_below / len(ranking.targets)
    alarms = ranking.nontargets_accepted / len(ranking.nontargets)
    after = int(np.argmax(misses >= alarms))
    before = after - 1
    short, over = alarms[before] - misses[before], misses[after] - alarms[after]
    share = float(short / (short + over))
    eer = float(misses[before] + share * (misses[after] - misses[before]))
    return _OperatingPoint(eer, before, share)


def _influence(ranking: Ranking, operating: _OperatingPoint) -> Float[np.ndarray, " pairs"]:
    """Return by how much each pair moves the EER, in the list's order; they sum to 0.

    If the misses rise by x at a fixed threshold, the EER rises by x times the share that the
    density of non-targets has of both densities there; for false alarms it is the other share.
    """
    weight = _weight_of_misses(ranking, operating)
    influence = np.zeros(ranking.pairs)
    wrong_targets = _share_below(ranking.targets_below, operating)
    wrong_others = 1 - _share_below(ranking.nontargets_below, operating)
    for places, wrong, share in (
        (ranking.targets, wrong_targets, weight),
        (ranking.nontargets, wrong_others, 1 - weight),
    ):
        influence[places] = share * (wrong - wrong.mean()) / len(places)
    return influence


def _share_below(
    below: Int[np.ndarray, " points"], operating: _OperatingPoint
) -> Float[np.ndarray, " pairs"]:
    """Return 1 for each rejected pair of a class, in rising order; a part between two points."""
    rejected = np.zeros(int(below[-1]))
    first, second = int(below[operating.before]), int(below[operating.before + 1])
    rejected[:first] = 1
    rejected[first:second] = operating.share
    return rejected


def _weight_of_misses(ranking: Ranking, operating: _OperatingPoint) -> float:
    threshold = float(ranking.scores[min(operating.before, len(ranking.scores) - 1)])
    target, other = (
        density(np.repeat(ranking.scores, np.diff(below)), threshold)
        for below in (ranking.targets_below, ranking.nontargets_below)
    )
    return other / (target + other) if target + other > 0 else 0.5


def _binomial_variance(ranking: Ranking, operating: _OperatingPoint) -> float:
    weight, spread = _weight_of_misses(ranking, operating), operating.eer * (1 - operating.eer)
    of_targets = weight**2 / len(ranking.targets)
    return 0.5 * spread * (of_targets + (1 - weight) ** 2 / len(ranking.nontargets))
