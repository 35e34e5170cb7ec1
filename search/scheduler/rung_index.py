"""Keep the answers of `RungQueries` up to date instead of computing them from all trials.

`search.scheduler.rung_queries.StateScan` defines the answers; here they cost as much as what has
changed. What a trial contributes depends on nothing but its record and the policy, so after an
event only the trial that it names is read again, and after a change of the policy all are.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler.policy import (
    AshaPolicy,
    counts_at_rung,
    is_interrupted,
    is_paused_at,
    must_advance_or_stop,
    target_rung,
    terminal_state,
)
from search.scheduler.rung_queries import ranking

Result = tuple[float, str]
"""A dev EER and its trial; sorted, the best comes first, and of equals the older trial."""


@dataclass(frozen=True, slots=True)
class _Contribution:
    """What one trial contributes to the answers."""

    live: bool = False
    interrupted: bool = False
    needs_exclusive_memory: bool = False
    """Interrupted, since it ran out of memory; such a trial is not counted as `interrupted`."""
    failed: bool = False
    is_outcome_candidate: bool = False
    reachable_epoch: int = 0
    """The lowest rung that it may still reach is at least this epoch; 0: it is not under way."""
    paused_at: int = 0
    """The rung at which it is paused; 0: none."""
    results: dict[int, Result] = field(default_factory=dict)
    """By rung; finite results only."""
    counts_at: frozenset[int] = frozenset()
    """Rungs at which it takes one of the places."""
    sizes: tuple[float, ...] = ()


_NOTHING = _Contribution()


class RungIndex:
    """Answers `RungQueries` for a state that grows; call `refresh` before every question."""

    def __init__(self, state: SearchState) -> None:
        self._state = state
        self._policy: AshaPolicy | None = None
        self._read = 0
        self._clear()

    def refresh(self, policy: AshaPolicy) -> "RungIndex":
        """Read the trials that have changed; the answers are then those of `StateScan`."""
        trials = self._state.trials
        touched = self._state.touched_since(self._read)
        self._read = len(self._state.touched)
        if policy != self._policy:
            self._policy = policy
            self._clear()
            touched = list(trials)
        for name in touched:
            self._update(trials[name], policy)
        return self

    # --- the answers -------------------------------------------------------------------------

    def any_live(self) -> bool:
        return self._live > 0

    def oldest_interrupted(self) -> TrialRecord | None:
        return self._trial(self._interrupted[0]) if self._interrupted else None

    def oldest_needing_exclusive_memory(self) -> TrialRecord | None:
        numbers = self._needing_exclusive_memory
        return self._trial(numbers[0]) if numbers else None

    def count_failed(self) -> int:
        return self._failed

    def outcome_candidates(self) -> Iterable[TrialRecord]:
        return [self._trial(number) for number in self._outcome_candidates]

    def any_may_still_reach(self, rung: int) -> bool:
        return any(count and epoch <= rung for epoch, count in self._reachable_epochs.items())

    def count_results(self, rung: int) -> int:
        return len(self._results.get(rung, ()))

    def rank_of(self, trial: TrialRecord, rung: int) -> int | None:
        result = self._contributions[trial.trial].results.get(rung)
        if result is None:
            return None
        if self._has_one_objective:
            return bisect_left(self._results[rung], result) + 1
        return self._ranking(rung).index(trial.trial) + 1

    def paused_among_best(self, rung: int, count: int) -> list[TrialRecord]:
        if not self._paused.get(rung):
            return []
        if not self._has_one_objective:
            return self._paused_among_best_by_front(rung, count)
        found = []
        for result in self._paused[rung]:
            if bisect_left(self._counted[rung], result) >= count:
                break
            found.append(self._state.trials[result[1]])
        return found

    def _paused_among_best_by_front(self, rung: int, count: int) -> list[TrialRecord]:
        counted = [
            name for name in self._ranking(rung) if rung in self._contributions[name].counts_at
        ]
        return [
            self._state.trials[name]
            for name in counted[:count]
            if self._contributions[name].paused_at == rung
        ]

    def ranking(self, rung: int) -> list[str]:
        """Return the trials with a result at a rung, best first."""
        if self._has_one_objective:
            return [name for _, name in self._results.get(rung, ())]
        return list(self._ranking(rung))

    def _ranking(self, rung: int) -> list[str]:
        """Return the ranking by fronts, kept until there is another result or size at the rung."""
        # Sorting by fronts takes a time that grows with the square of the results.
        if rung not in self._rankings:
            assert self._policy is not None
            self._rankings[rung] = ranking(self._state, rung, self._policy)
        return self._rankings[rung]

    def _trial(self, number: int) -> TrialRecord:
        return self._state.trials[self._names[number]]

    @property
    def _has_one_objective(self) -> bool:
        return self._policy is not None and len(self._policy.objectives) == 1

    # --- how the answers are kept ------------------------------------------------------------

    def _clear(self) -> None:
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._contributions: dict[str, _Contribution] = {}
        self._live = 0
        self._failed = 0
        self._interrupted: list[int] = []
        self._needing_exclusive_memory: list[int] = []
        self._outcome_candidates: list[int] = []
        self._reachable_epochs: Counter[int] = Counter()
        self._results: dict[int, list[Result]] = {}
        self._counted: dict[int, list[Result]] = {}
        self._paused: dict[int, list[Result]] = {}
        self._rankings: dict[int, list[str]] = {}

    def _update(self, trial: TrialRecord, policy: AshaPolicy) -> None:
        number = self._numbers.setdefault(trial.trial, len(self._names))
        if number == len(self._names):
            self._names.append(trial.trial)
        before, now = (
            self._contributions.get(trial.trial, _NOTHING),
            _contribution_of(trial, policy),
        )
        self._contributions[trial.trial] = now
        self._live += now.live - before.live
        self._failed += now.failed - before.failed
        _set_membership(self._interrupted, number, was=before.interrupted, now=now.interrupted)
        _set_membership(
            self._needing_exclusive_memory,
            number,
            was=before.needs_exclusive_memory,
            now=now.needs_exclusive_memory,
        )
        _set_membership(
            self._outcome_candidates,
            number,
            was=before.is_outcome_candidate,
            now=now.is_outcome_candidate,
        )
        # Counts by epoch, not by rung: a trial may still reach every rung from that epoch on.
        if now.reachable_epoch != before.reachable_epoch:
            self._reachable_epochs[before.reachable_epoch] -= before.reachable_epoch > 0
            self._reachable_epochs[now.reachable_epoch] += now.reachable_epoch > 0
        # A sorted list for each rung, so that a rank costs a binary search.
        for rung in before.results.keys() | now.results.keys():
            self._update_rung(rung, before, now)

    def _update_rung(self, rung: int, before: _Contribution, now: _Contribution) -> None:
        old, new = before.results.get(rung), now.results.get(rung)
        if old != new or before.sizes != now.sizes:
            self._rankings.pop(rung, None)
        _replace_sorted(self._results.setdefault(rung, []), old, new)
        _replace_sorted(
            self._counted.setdefault(rung, []),
            old if rung in before.counts_at else None,
            new if rung in now.counts_at else None,
        )
        _replace_sorted(
            self._paused.setdefault(rung, []),
            old if rung == before.paused_at else None,
            new if rung == now.paused_at else None,
        )


def _contribution_of(trial: TrialRecord, policy: AshaPolicy) -> _Contribution:
    interrupted = is_interrupted(trial, policy)
    under_way = trial.live or interrupted
    at = [rung for rung in policy.rungs if rung in trial.reports] if trial.competes else []
    results = {rung: (trial.at(rung), trial.trial) for rung in at}
    return _Contribution(
        live=trial.live,
        interrupted=interrupted and not trial.needs_exclusive_memory,
        needs_exclusive_memory=interrupted and trial.needs_exclusive_memory,
        failed=trial.state == "failed",
        is_outcome_candidate=terminal_state(trial, policy) is not None
        or must_advance_or_stop(trial, policy),
        reachable_epoch=max(target_rung(trial, policy), trial.epoch + 1) if under_way else 0,
        paused_at=next((rung for rung in policy.rungs if is_paused_at(trial, rung, policy)), 0),
        results={rung: result for rung, result in results.items() if result[0] < float("inf")},
        counts_at=frozenset(rung for rung in policy.rungs if counts_at_rung(trial, rung)),
        sizes=trial.sizes(policy.objectives[1:]),
    )


def _set_membership(ordered: list[int], number: int, *, was: bool, now: bool) -> None:
    if was and not now:
        del ordered[bisect_left(ordered, number)]
    elif now and not was:
        insort(ordered, number)


def _replace_sorted(ordered: list[Any], old: Any | None, new: Any | None) -> None:
    if old == new:
        return
    if old is not None:
        del ordered[bisect_left(ordered, old)]
    if new is not None:
        insort(ordered, new)
