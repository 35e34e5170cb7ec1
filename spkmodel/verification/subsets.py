"""Measure error rates of subsets of pairs: by group, by bin, by speaker.

A subset takes pairs, not utterances, and says which; of too few pairs or speakers it has no EER.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL
from spkmodel.verification import intervals, metrics

Chosen = Bool[np.ndarray, " pairs"]
Words = Sequence[str]

LEAST_PAIRS, LEAST_SPEAKERS = 30, LEAST_SPEAKERS_OF_AN_INTERVAL
"""Of each class, and of the speakers, for an EER: fewer give a number, but no knowledge."""
LEAST_OF_A_SPEAKER = 5
"""Pairs of each class, for a speaker to be ranked."""


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the pairs of a list."""

    name: str
    holds: str
    """Which pairs, for people."""
    chosen: Chosen


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """The scores of a list of pairs, their speakers, and the list's threshold."""

    scores: Float[np.ndarray, " pairs"]
    targets: Bool[np.ndarray, " pairs"]
    enrol_speakers: np.ndarray
    test_speakers: np.ndarray
    threshold: float

    def select(self, chosen: Chosen) -> "ScoredPairs":
        """Select the chosen pairs, at the same threshold."""
        return ScoredPairs(
            self.scores[chosen],
            self.targets[chosen],
            self.enrol_speakers[chosen],
            self.test_speakers[chosen],
            self.threshold,
        )

    def miss(self) -> float | None:
        """Return the share of targets below the threshold; None without any."""
        return (
            float((self.scores[self.targets] < self.threshold).mean())
            if self.targets.any()
            else None
        )

    def false_alarm(self) -> float | None:
        """Return the share of non-targets at or above the threshold; None without any."""
        others = self.scores[~self.targets]
        return float((others >= self.threshold).mean()) if len(others) else None


@dataclass(frozen=True)
class SubsetFigures:
    """Counts and error rates of a subset; rates are fractions."""

    name: str
    holds: str
    pairs: int
    targets: int
    speakers: int
    miss: float | None
    false_alarm: float | None
    """At the threshold of the whole list; None without a pair of the class."""
    eer: float | None
    eer_low: float | None
    eer_high: float | None
    """EER and 95 % interval of these pairs alone."""
    why_not: str
    """Why there is no EER; empty where there is."""


@dataclass(frozen=True)
class SpeakerFigures:
    """Error rates of one speaker at the threshold of the whole list."""

    speaker: str
    targets: int
    non_targets: int
    """Of the pairs with this speaker on either side."""
    miss: float
    false_alarm: float
    share_of_misses: float
    """Of all misses of the list, those of this speaker."""


# --- which pairs -----------------------------------------------------------------------------


def subsets_by_group(
    column: str, enrolment: Words, test: Words, bins: Words | None = None
) -> list[Subset]:
    """Return the subsets with each word on both sides, with equal words, and with different ones.

    Args:
        column: what the words are, for names.
        enrolment: the word of each pair's enrolment side; empty: unknown, in no subset.
        test: of its test side.
        bins: the words there may be, in order, where they are names of bins.
    """
    one, other = np.asarray(enrolment, dtype=str), np.asarray(test, dtype=str)
    known = (one != "") & (other != "")
    same = known & (one == other)
    there = {*one[known].tolist(), *other[known].tolist()}
    subsets = [
        Subset(
            f"{column}={word}" if bins is None else word,
            "both sides, non-targets too",
            same & (one == word),
        )
        for word in sorted(there, key=None if bins is None else bins.index)
    ]
    if len(subsets) > 1:
        subsets += [
            Subset(f"{column} same", "both sides alike, non-targets too", same),
            Subset(f"{column} different", "the sides differ", known & (one != other)),
        ]
    return subsets


def subsets_by_bin(
    column: str,
    enrolment: Float[np.ndarray, " pairs"],
    test: Float[np.ndarray, " pairs"],
    edges: Sequence[float],
) -> list[Subset]:
    """Return subsets of pairs by the lower of their two numbers; nan: unknown, in no subset."""
    # By the lower one: of a short and a long utterance, the short one limits the score.
    lower = np.where(np.isnan(enrolment + test), np.nan, np.fmin(enrolment, test))
    bins = assign_bins(lower, edges)
    return [
        Subset(name, f"the lower {column} of the two sides", bins == place)
        for place, name in enumerate(bin_names(column, edges))
    ]


def lower_quantile_edges(
    enrolment: Float[np.ndarray, " pairs"], test: Float[np.ndarray, " pairs"], parts: int = 3
) -> list[float]:
    """Return edges that divide pairs evenly by the lower of their two numbers."""
    return quantile_edges(np.fmin(enrolment, test)[~np.isnan(enrolment + test)], parts)


def quantile_edges(numbers: Float[np.ndarray, " n"], parts: int = 3) -> list[float]:
    """Return edges that divide numbers evenly, at three digits so that their names are exact."""
    if not len(numbers):
        return []
    inner = np.quantile(numbers, np.arange(1, parts) / parts)
    edges = sorted({float(f"{edge:.3g}") for edge in inner})
    return [edge for edge in edges if numbers.min() < edge <= numbers.max()]


def assign_bins(numbers: Float[np.ndarray, " n"], edges: Sequence[float]) -> np.ndarray:
    """Return the index of each number among the bins of `bin_names`; -1 for nan."""
    return np.where(np.isnan(numbers), -1, np.searchsorted(edges, numbers, side="right"))


def bin_names(column: str, edges: Sequence[float]) -> list[str]:
    """Name the bins, one more than there are edges; an edge belongs to the bin above it."""
    if not edges:
        return [f"{column} any"]
    inner = [f"{low:g}<={column}<{high:g}" for low, high in pairwise(edges)]
    return [f"{column}<{edges[0]:g}", *inner, f"{column}>={edges[-1]:g}"]


# --- what they are worth ---------------------------------------------------------------------


def measure_subset(subset: Subset, scored: ScoredPairs) -> SubsetFigures:
    """Measure counts, rates at the list's threshold and, with enough pairs, the EER of a subset."""
    part = scored.select(subset.chosen)
    speakers = len({*part.enrol_speakers.tolist(), *part.test_speakers.tolist()})
    why_not = _too_few(part, speakers)
    eer = low = high = None
    if not why_not:
        eer = metrics.eer(part.scores, part.targets)
        interval = intervals.eer_interval(
            part.scores, part.targets, part.enrol_speakers, part.test_speakers
        )
        low, high = interval.low, interval.high
    return SubsetFigures(
        name=subset.name,
        holds=subset.holds,
        pairs=len(part.scores),
        targets=int(part.targets.sum()),
        speakers=speakers,
        miss=part.miss(),
        false_alarm=part.false_alarm(),
        eer=eer,
        eer_low=low,
        eer_high=high,
        why_not=why_not,
    )


def _too_few(part: ScoredPairs, speakers: int) -> str:
    if not len(part.targets):
        return "no pair"
    targets = int(part.targets.sum())
    counted = (
        (targets, "target pair", LEAST_PAIRS),
        (len(part.targets) - targets, "non-target pair", LEAST_PAIRS),
        (speakers, "speaker", LEAST_SPEAKERS),
    )
    lacks = [
        f"{count or 'no'} {what}{'' if count in (0, 1) else 's'}, {least} needed"
        for count, what, least in counted
        if count < least
    ]
    return "; ".join(lacks)


def find_worst_speakers(scored: ScoredPairs, count: int) -> tuple[list[SpeakerFigures], int]:
    """Return the speakers with the highest mean of both error rates, and how many are ranked.

    Goats are missed, lambs and wolves bring false alarms (Doddington et al. 1998, ICSLP). Who has
    fewer than `LEAST_OF_A_SPEAKER` pairs of a class is not ranked. Equals go by name.
    """
    names, places = np.unique(
        np.concatenate([scored.enrol_speakers, scored.test_speakers]), return_inverse=True
    )
    enrol, test = np.split(places, 2)
    is_miss = scored.targets & (scored.scores < scored.threshold)
    # At the threshold of the whole list: with its own, each speaker would look good.
    is_alarm = ~scored.targets & (scored.scores >= scored.threshold)

    def counts(chosen: Chosen) -> np.ndarray:
        """Count each speaker's chosen pairs; a pair of one speaker counts once."""
        twice = np.bincount(np.concatenate([enrol[chosen], test[chosen]]), minlength=len(names))
        return twice - np.bincount(enrol[chosen & (enrol == test)], minlength=len(names))

    targets, others = counts(scored.targets), counts(~scored.targets)
    misses, alarms = counts(is_miss), counts(is_alarm)
    ranked = np.flatnonzero((targets >= LEAST_OF_A_SPEAKER) & (others >= LEAST_OF_A_SPEAKER))
    figures = [
        SpeakerFigures(
            speaker=str(names[place]),
            targets=int(targets[place]),
            non_targets=int(others[place]),
            miss=float(misses[place] / targets[place]),
            false_alarm=float(alarms[place] / others[place]),
            share_of_misses=float(misses[place] / max(1, is_miss.sum())),
        )
        for place in ranked
    ]
    figures.sort(key=lambda each: (-(each.miss + each.false_alarm), each.speaker))
    return figures[:count], len(ranked)
