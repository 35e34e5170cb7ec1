"""What the rule asks about all trials at once, kept up to date instead of looked up.

`search.scheduler.asha.Scan` says what the answers mean; here they cost as much as what has changed.
A trial's part in them depends on nothing but its record and the rule, so after an event only the
trial that it names is looked at again, and after a change of the rule all are.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler.asha import ranking
from search.scheduler.policy import (
    AshaPolicy,
    counts_at_rung,
    is_interrupted,
    is_judged_on_arrival,
    is_paused_at,
    target_rung,
    terminal_state,
)

Result = tuple[float, str]
"""A dev EER, and whose it is; in this order the best comes first, and of equals the older."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one trial contributes to the answers."""

    live: bool = False
    interrupted: bool = False
    needs_exclusive_memory: bool = False
    """Interrupted, for want of memory; not counted among the interrupted."""
    failed: bool = False
    to_judge: bool = False
    heading_to: int = 0
    """The lowest epoch at which a rung may still expect it; 0: it is not under way."""
    paused_at: int = 0
    """The rung where it waits; 0: nowhere."""
    results: dict[int, Result] = field(default_factory=dict)
    """By rung; of those that are finite."""
    places: frozenset[int] = frozenset()
    """Rungs at which its result counts for the places."""
    sizes: tuple[float, ...] = ()


_NOTHING = _Part()


class RungIndex:
    """Follows a state; `look` before every question."""

    def __init__(self, state: SearchState) -> None:
        self._state = state
        self._rule: AshaPolicy | None = None
        self._read = 0
        self._clear()

    def look(self, rule: AshaPolicy) -> "RungIndex":
        """Take in what has happened since; the answers are then those of `Scan(state, rule)`."""
        known = self._state.trials
        touched = self._state.touched_since(self._read)
        self._read = len(self._state.touched)
        if rule != self._rule:
            self._rule = rule
            self._clear()
            touched = list(known)
        for name in touched:
            self._take(known[name], rule)
        return self

    # --- the answers -------------------------------------------------------------------------

    def any_live(self) -> bool:
        return self._live > 0

    def interrupted(self) -> TrialRecord | None:
        return self._trial(self._interrupted[0]) if self._interrupted else None

    def needing_exclusive_memory(self) -> TrialRecord | None:
        return (
            self._trial(self._needing_exclusive_memory[0])
            if self._needing_exclusive_memory
            else None
        )

    def failed(self) -> int:
        return self._failed

    def to_judge(self) -> Iterable[TrialRecord]:
        return [self._trial(number) for number in self._to_judge]

    def any_heading_to(self, rung: int) -> bool:
        return any(count and epoch <= rung for epoch, count in self._heading_to.items())

    def results(self, rung: int) -> int:
        return len(self._results.get(rung, ()))

    def place(self, trial: TrialRecord, rung: int) -> int | None:
        result = self._parts[trial.trial].results.get(rung)
        if result is None:
            return None
        if self._has_one_aim:
            return bisect_left(self._results[rung], result) + 1
        return self._ranking(rung).index(trial.trial) + 1

    def waiting(self, rung: int, places: int) -> list[TrialRecord]:
        if not self._waiting.get(rung):
            return []
        if not self._has_one_aim:
            return self._waiting_of_many_aims(rung, places)
        found = []
        for result in self._waiting[rung]:
            if bisect_left(self._placed[rung], result) >= places:
                break
            found.append(self._state.trials[result[1]])
        return found

    def _waiting_of_many_aims(self, rung: int, places: int) -> list[TrialRecord]:
        placed = [name for name in self._ranking(rung) if rung in self._parts[name].places]
        return [
            self._state.trials[name]
            for name in placed[:places]
            if self._parts[name].paused_at == rung
        ]

    def ranking(self, rung: int) -> list[str]:
        """The trials with a result at a rung, best first."""
        if self._has_one_aim:
            return [name for _, name in self._results.get(rung, ())]
        return list(self._ranking(rung))

    def _ranking(self, rung: int) -> list[str]:
        """What the rule says, kept until there is another result or size at the rung."""
        if rung not in self._orders:
            assert self._rule is not None
            self._orders[rung] = ranking(self._state, rung, self._rule)
        return self._orders[rung]

    def _trial(self, number: int) -> TrialRecord:
        return self._state.trials[self._names[number]]

    @property
    def _has_one_aim(self) -> bool:
        return self._rule is not None and len(self._rule.objectives) == 1

    # --- how they are kept -------------------------------------------------------------------

    def _clear(self) -> None:
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._parts: dict[str, _Part] = {}
        self._live = 0
        self._failed = 0
        self._interrupted: list[int] = []
        self._needing_exclusive_memory: list[int] = []
        self._to_judge: list[int] = []
        self._heading_to: Counter[int] = Counter()
        self._results: dict[int, list[Result]] = {}
        self._placed: dict[int, list[Result]] = {}
        self._waiting: dict[int, list[Result]] = {}
        self._orders: dict[int, list[str]] = {}

    def _take(self, trial: TrialRecord, rule: AshaPolicy) -> None:
        number = self._numbers.setdefault(trial.trial, len(self._names))
        if number == len(self._names):
            self._names.append(trial.trial)
        before, now = self._parts.get(trial.trial, _NOTHING), _part(trial, rule)
        self._parts[trial.trial] = now
        self._live += now.live - before.live
        self._failed += now.failed - before.failed
        _keep(self._interrupted, number, was=before.interrupted, now=now.interrupted)
        _keep(
            self._needing_exclusive_memory,
            number,
            was=before.needs_exclusive_memory,
            now=now.needs_exclusive_memory,
        )
        _keep(self._to_judge, number, was=before.to_judge, now=now.to_judge)
        if now.heading_to != before.heading_to:
            self._heading_to[before.heading_to] -= before.heading_to > 0
            self._heading_to[now.heading_to] += now.heading_to > 0
        for rung in before.results.keys() | now.results.keys():
            self._move(rung, before, now)

    def _move(self, rung: int, before: _Part, now: _Part) -> None:
        old, new = before.results.get(rung), now.results.get(rung)
        if old != new or before.sizes != now.sizes:
            self._orders.pop(rung, None)
        _replace(self._results.setdefault(rung, []), old, new)
        _replace(
            self._placed.setdefault(rung, []),
            old if rung in before.places else None,
            new if rung in now.places else None,
        )
        _replace(
            self._waiting.setdefault(rung, []),
            old if rung == before.paused_at else None,
            new if rung == now.paused_at else None,
        )


def _part(trial: TrialRecord, rule: AshaPolicy) -> _Part:
    interrupted = is_interrupted(trial, rule)
    under_way = trial.live or interrupted
    results = {r: (trial.at(r), trial.trial) for r in rule.rungs if r in trial.reports}
    return _Part(
        live=trial.live,
        interrupted=interrupted and not trial.needs_exclusive_memory,
        needs_exclusive_memory=interrupted and trial.needs_exclusive_memory,
        failed=trial.state == "failed",
        to_judge=terminal_state(trial, rule) is not None or is_judged_on_arrival(trial, rule),
        heading_to=max(target_rung(trial, rule), trial.epoch + 1) if under_way else 0,
        paused_at=next((rung for rung in rule.rungs if is_paused_at(trial, rung, rule)), 0),
        results={rung: result for rung, result in results.items() if result[0] < float("inf")},
        places=frozenset(rung for rung in rule.rungs if counts_at_rung(trial, rung)),
        sizes=trial.sizes(rule.objectives[1:]),
    )


def _keep(ordered: list[int], number: int, *, was: bool, now: bool) -> None:
    if was and not now:
        del ordered[bisect_left(ordered, number)]
    elif now and not was:
        insort(ordered, number)


def _replace(ordered: list[Any], old: Any | None, new: Any | None) -> None:
    if old == new:
        return
    if old is not None:
        del ordered[bisect_left(ordered, old)]
    if new is not None:
        insort(ordered, new)
