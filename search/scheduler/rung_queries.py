"""Answer questions about all trials of a search: who is at which rung, and at which rank.

`RungQueries` lists the questions. `StateScan` answers each by a loop over all trials, which defines
what the answers mean; `search.scheduler.rung_index` keeps the same answers up to date, for searches
of thousands of trials.
"""

import math
from collections.abc import Iterable
from typing import Protocol

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler import pareto
from search.scheduler.policy import (
    AshaPolicy,
    counts_at_rung,
    is_interrupted,
    is_paused_at,
    may_still_reach,
)


class RungQueries(Protocol):
    """What the scheduler asks about all trials at once."""

    def any_live(self) -> bool:
        """Return whether an attempt is under way."""
        ...

    def oldest_interrupted(self) -> TrialRecord | None:
        """Return the oldest trial short of its target rung that does not need the memory alone."""
        ...

    def oldest_needing_exclusive_memory(self) -> TrialRecord | None:
        """Return the oldest trial short of its target rung because it ran out of memory."""
        ...

    def count_failed(self) -> int:
        """Return how many trials have failed for good."""
        ...

    def outcome_candidates(self) -> Iterable[TrialRecord]:
        """Return, oldest first, at least all trials for which an outcome may have come about."""
        ...

    def any_may_still_reach(self, rung: int) -> bool:
        """Return whether a result may still come to the rung from below."""
        ...

    def count_results(self, rung: int) -> int:
        """Return how many trials have a result at the rung."""
        ...

    def rank_of(self, trial: TrialRecord, rung: int) -> int | None:
        """Return the trial's rank among the results of a rung, from 1; None without a result."""
        ...

    def paused_among_best(self, rung: int, count: int) -> list[TrialRecord]:
        """Return those of the best `count` trials at the rung that are paused there, best first."""
        ...


class StateScan:
    """Answers each question by a loop over all trials."""

    def __init__(self, state: SearchState, policy: AshaPolicy) -> None:
        self._state = state
        self._policy = policy

    def any_live(self) -> bool:
        return any(trial.live for trial in self._state.trials.values())

    def oldest_interrupted(self) -> TrialRecord | None:
        return self._oldest_interrupted(needs_exclusive_memory=False)

    def oldest_needing_exclusive_memory(self) -> TrialRecord | None:
        return self._oldest_interrupted(needs_exclusive_memory=True)

    def _oldest_interrupted(self, needs_exclusive_memory: bool) -> TrialRecord | None:
        trials = (
            trial
            for trial in self._state.trials.values()
            if trial.needs_exclusive_memory == needs_exclusive_memory
        )
        return next((trial for trial in trials if is_interrupted(trial, self._policy)), None)

    def count_failed(self) -> int:
        return sum(trial.state == "failed" for trial in self._state.trials.values())

    def outcome_candidates(self) -> Iterable[TrialRecord]:
        return self._state.trials.values()

    def any_may_still_reach(self, rung: int) -> bool:
        trials = self._state.trials.values()
        return any(may_still_reach(trial, rung, self._policy) for trial in trials)

    def count_results(self, rung: int) -> int:
        return len(rung_results(self._state, rung))

    def rank_of(self, trial: TrialRecord, rung: int) -> int | None:
        names = ranking(self._state, rung, self._policy)
        return names.index(trial.trial) + 1 if trial.trial in names else None

    def paused_among_best(self, rung: int, count: int) -> list[TrialRecord]:
        ranked = [self._state.trials[name] for name in ranking(self._state, rung, self._policy)]
        # Those that have advanced already count among the best, or the rung would send too many on.
        best = [trial for trial in ranked if counts_at_rung(trial, rung)][:count]
        return [trial for trial in best if is_paused_at(trial, rung, self._policy)]


def rung_results(state: SearchState, rung: int) -> list[tuple[float, str]]:
    """Return the finite results at a rung with their trials, best first, ties by trial."""
    competing = (trial for trial in state.trials.values() if trial.competes)
    results = ((trial.at(rung), trial.trial) for trial in competing)
    return sorted(each for each in results if math.isfinite(each[0]))


def ranking(state: SearchState, rung: int, policy: AshaPolicy) -> list[str]:
    """Return the trials with a result at a rung, best first."""
    results = rung_results(state, rung)
    if len(policy.objectives) == 1:
        return [name for _, name in results]
    return pareto.sort_by_front(
        {name: (value, *state.trials[name].sizes(policy.objectives[1:])) for value, name in results}
    )
