"""Decide when the sampler uses a prior, and which of its points are tried first.

A prior is a list of points of the space, best first: entries of a notebook, or trials of an earlier
search. Only their order counts. A notebook has no EER, and the EERs of another corpus, another list
of pairs or another rung are at another level.

Its best and most different points become the first trials. After that the prior's weight decays:
the sampler uses it for a suggestion at random, with probability n0 / (n0 + n) after n trials, and
less often where the prior's trials lose against the sampler's own. The trials of this search are
never mixed with the prior, so a wrong prior costs the trials that it suggests, and nothing else:
the first 5, and 6 of the next 45 if it is as good as any, fewer if it is worse.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord

Item = TypeVar("Item")

ORIGIN = "prior"
"""The origin of a trial that the sampler drew from the prior."""

QUEUE_KEY_PREFIX = "warm-start/"
"""How the keys of queued trials begin that are points of the prior."""

MOST_TRIED_FIRST = 5
"""Points that are tried first, or a third of the trials if that is less."""

PRIOR_TRIALS = 3.0
"""n0: after so many trials the prior is used every other time, if it does not lose."""


def default_count(trials: int) -> int:
    """Return how many points are tried first in a search of so many trials, by default."""
    return min(MOST_TRIED_FIRST, max(1, trials // 3))


def prior_probability(state: SearchState, ranking: Sequence[str]) -> float:
    """Return the probability that the next suggestion is drawn from the prior.

    It is n0 / (n0 + n) * min(1, 2 A), with A the probability that one of the prior's trials is
    better than one of the others: less than 1/2 if the prior's trials lose. While either side has
    no result, A is not known, and the second factor is 1.

    Args:
        state: the search.
        ranking: its trials with a result where they are compared, best first; those without one
            that are over are worse than all of them, and equal.
    """
    ranks = {name: float(rank) for rank, name in enumerate(ranking)}
    over = [trial for trial in state.trials.values() if trial.trial in ranks or _is_over(trial)]
    from_prior = [ranks.get(trial.trial, math.inf) for trial in over if is_from_prior(trial)]
    others = [ranks.get(trial.trial, math.inf) for trial in over if not is_from_prior(trial)]
    weight = min(1.0, 2 * _superiority(from_prior, others)) if from_prior and others else 1.0
    return max_prior_probability(state) * weight


def max_prior_probability(state: SearchState) -> float:
    """Return `prior_probability` of a prior that does not lose; it decays with every trial."""
    return PRIOR_TRIALS / (PRIOR_TRIALS + len(state.trials))


def is_from_prior(trial: TrialRecord) -> bool:
    """Return whether a trial is a point of the prior or was drawn from it."""
    return trial.origin == ORIGIN or trial.wish.startswith(QUEUE_KEY_PREFIX)


def _is_over(trial: TrialRecord) -> bool:
    return trial.state in ("stopped", "failed")


def _superiority(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the probability that one of `first` is lower than one of `second`; a tie is half."""
    ordered = sorted(second)
    # Per value: how many of `second` are at least as high, plus how many are higher. A win counts
    # twice so, a tie once.
    wins = sum(
        2 * len(ordered) - bisect_left(ordered, each) - bisect_right(ordered, each)
        for each in first
    )
    return wins / (2 * len(first) * len(second))


def select_diverse(
    points: Sequence[Item], count: int, distance: Callable[[Item, Item], float]
) -> list[Item]:
    """Return `count` points that are good and different: the best, then always the highest score.

    The score of the i-th of m is (1 - i / m) times its distance to the nearest point that is
    selected already; of equal scores the better point is taken.

    Args:
        points: best first.
        count: how many, at most.
        distance: of two points, from 0 to 1.
    """
    left = list(range(len(points)))
    taken: list[int] = left[:1] if count > 0 else []
    while len(taken) < min(count, len(points)):
        best = max(
            (rank for rank in left if rank not in taken),
            key=lambda rank: (
                (1 - rank / len(points))
                * min(distance(points[rank], points[each]) for each in taken)
            ),
        )
        taken.append(best)
    return [points[rank] for rank in taken]
