"""What is known before a search begins, and for how long it is heeded.

A prior is a list of points of the space, best first: entries of a notebook, or trials of an earlier
search. Only their order counts. A notebook has no EER, and the EERs of another corpus, another list
of pairs or another rung are at another level.

Its best and most different points become the first trials. After that the sampler asks the prior
for a suggestion now and then, at random: with probability n0 / (n0 + n) after n trials, and less
where what came of it loses against what the sampler found itself. What the sampler knows of this
search is never mixed with the prior, so a wrong one costs the trials that it is asked for, and
nothing else: the first 5, and 6 of the next 45 if it is as good as any, fewer if it is worse.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from search.ledger.state import SearchState
    from search.ledger.trial import TrialRecord

Item = TypeVar("Item")

ORIGIN = "prior"
"""Of a trial that the sampler drew from the prior."""

KEY = "warm-start/"
"""How the keys of wishes begin that are points of the prior."""

FIRST = 5
"""Points that are tried first, or a third of the trials if that is less."""

WEIGHT = 3.0
"""n0: after so many trials the prior is asked every other time, if it has not lost."""


@dataclass(frozen=True, slots=True)
class PriorPoint:
    """One point; what its source does not tell is not in it."""

    name: str
    """As its source calls it: `entry 116`, `triplet/t0007`."""
    axes: dict[str, Any]
    distributions: dict[str, str]
    """By axis, as Optuna's JSON: those of the space that is searched now."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Points of the space, best first."""

    source: str
    points: tuple[PriorPoint, ...]

    def event(self) -> dict[str, Any]:
        """The fields of the ledger's `prior` event."""
        return {"source": self.source, "points": [asdict(point) for point in self.points]}


def default_count(trials: int) -> int:
    """How many points are tried first in a search of so many trials, if nobody says."""
    return min(FIRST, max(1, trials // 3))


def of_event(event: Mapping[str, Any]) -> Prior:
    """What `event` wrote."""
    return Prior(event["source"], tuple(PriorPoint(**point) for point in event["points"]))


def share(state: "SearchState", ranking: Sequence[str]) -> float:
    """The probability that the next suggestion is asked of the prior.

    n0 / (n0 + n), and as much less as its trials lose against the others: with A the probability
    that one of its trials is better than one of the others, times min(1, 2 A). While either side
    has no result, A is not known, and nothing is taken off.

    Args:
        state: the search.
        ranking: its trials with a result where they are compared, best first; those without one
            that are over are worse than all of them, and equal.
    """
    places = {name: float(place) for place, name in enumerate(ranking)}
    over = [trial for trial in state.trials.values() if trial.trial in places or _is_over(trial)]
    its = [places.get(trial.trial, math.inf) for trial in over if is_of_prior(trial)]
    others = [places.get(trial.trial, math.inf) for trial in over if not is_of_prior(trial)]
    heeded = min(1.0, 2 * _superiority(its, others)) if its and others else 1.0
    return fading(state) * heeded


def fading(state: "SearchState") -> float:
    """What `share` is at most: that of a prior that does not lose."""
    return WEIGHT / (WEIGHT + len(state.trials))


def is_of_prior(trial: "TrialRecord") -> bool:
    """Whether a trial was the prior's idea."""
    return trial.origin == ORIGIN or trial.wish.startswith(KEY)


def _is_over(trial: "TrialRecord") -> bool:
    return trial.state in ("stopped", "failed")


def _superiority(ones: Sequence[float], others: Sequence[float]) -> float:
    """The probability that one of `ones` is lower than one of `others`; a tie is half of that."""
    ordered = sorted(others)
    # How many are at least as high, and how many higher: half of both together.
    wins = sum(
        2 * len(ordered) - bisect_left(ordered, one) - bisect_right(ordered, one) for one in ones
    )
    return wins / (2 * len(ones) * len(others))


def chosen(points: Sequence[Item], count: int, apart: Callable[[Item, Item], float]) -> list[Item]:
    """The `count` best and most different: the first, then always the one with most of both.

    The i-th of m counts (1 - i / m) times its distance to the nearest that is chosen already; of
    equals the better one.

    Args:
        points: best first.
        count: how many, at most.
        apart: how far two are apart, from 0 to 1.
    """
    left = list(range(len(points)))
    taken: list[int] = left[:1] if count > 0 else []
    while len(taken) < min(count, len(points)):
        best = max(
            (place for place in left if place not in taken),
            key=lambda place: (
                (1 - place / len(points))
                * min(apart(points[place], points[each]) for each in taken)
            ),
        )
        taken.append(best)
    return [points[place] for place in taken]
