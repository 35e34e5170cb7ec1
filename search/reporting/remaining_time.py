"""Predict how long a search still takes: play the rest of it on as many slots as there are.

The rest follows ASHA's rule. How good the trials are that have not begun is drawn; an epoch of
theirs takes as long as the mean of the others.
"""

import heapq
import math
import operator
import random
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean, median

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler.policy import AshaPolicy, is_interrupted, is_paused_at, target_rung
from search.scheduler.rung_queries import ranking

_PLAYS = 12
"""Whose mean is the prediction: it depends on the quality of trials that have not begun."""

_MOST_PLAYED = 3000
"""Trials of a search that is played; of a larger one the work is divided by the slots."""

_Segment = tuple[float, int, float, float]
"""When it ends, index of the rung that it comes to (-1: of none), quality, seconds of an epoch."""

_RECENT = 400
"""Reports that tell how many trials run at once."""

_LEAST_SECONDS = 1.0
"""Of a search that still trains."""


def estimate_seconds_left(state: SearchState, planned: int, now: float) -> float | None:
    """Return the predicted seconds until the last trial ends; None if nothing tells.

    Args:
        state: of a running search.
        planned: trials in all.
        now: Unix time.
    """
    if state.holds:
        return None  # nobody knows how long
    costs = {name: cost for name, trial in state.trials.items() if (cost := _epoch_seconds(trial))}
    if not costs:
        return None
    policy = AshaPolicy.from_state(state)
    # By epoch, not by trial: most epochs to come are of trials like those that have gone far.
    weights = [len(state.trials[name].reports) for name in costs]
    mean_cost = sum(map(operator.mul, costs.values(), weights)) / sum(weights)
    rest = _Rest(policy, mean_cost, _segment_overhead(state))
    _add_trials(rest, state, policy, costs, now)
    slots = _count_slots(state)
    if state.search_stop:
        # What runs goes on to its rung, and nothing follows.
        seconds = max((segment[0] for segment in rest.running), default=0.0)
    elif planned > _MOST_PLAYED:
        rest.to_begin = planned - len(state.trials)
        seconds = rest.divide(slots)
    else:
        rest.to_begin = max(0, planned - len(state.trials))
        # The same draws every time, so that the figure does not jump.
        rng, plays = random.Random(0), max(1, min(_PLAYS, _MOST_PLAYED // planned))
        seconds = fmean(deepcopy(rest).play(slots, rng) for _ in range(plays))
    is_training = any(trial.live for trial in state.trials.values())
    return max(seconds, _LEAST_SECONDS) if is_training else seconds


@dataclass
class _Rest:
    """What is left of a search: who runs, who waits at which rung, how many are to begin.

    A trial is told by its quality, its place among all from 0, the best, to 1, and by the seconds
    of its epochs.
    """

    policy: AshaPolicy
    mean_cost: float
    """Seconds of an epoch of a trial that has not begun."""
    overhead: float
    """Seconds before the first epoch of a segment."""
    to_begin: int = 0
    running: list[_Segment] = field(default_factory=list)
    """A heap by their ends."""
    ready: list[_Segment] = field(default_factory=list)
    """Interrupted trials; in place of the end stand the seconds."""
    waiting: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    """By rung: quality and cost of the trials paused there, best first."""
    results: dict[int, list[float]] = field(default_factory=dict)
    """By rung: qualities, best first."""

    def play(self, slots: int, rng: random.Random) -> float:
        """Return when the last segment ends, from now; the quality of new trials is drawn."""
        now = 0.0
        heapq.heapify(self.running)
        while True:
            while len(self.running) < slots and (job := self._next_job(rng)):
                seconds, rung, quality, cost = job
                end = now + self.overhead + seconds
                heapq.heappush(self.running, (end, rung, quality, cost))
            if not self.running:
                return now
            now, rung, quality, cost = heapq.heappop(self.running)
            if rung < 0:
                continue
            insort(self.results.setdefault(rung, []), quality)
            if rung + 1 < len(self.policy.rungs):
                insort(self.waiting.setdefault(rung, []), (quality, cost))

    def divide(self, slots: int) -> float:
        """Return all work divided by the slots: for searches too large to be played."""
        work = sum(segment[0] for segment in (*self.running, *self.ready))
        coming, below = self.to_begin, 0
        trials = self.to_begin + len(self.results.get(0, ()))
        for place, rung in enumerate(self.policy.rungs):
            work += coming * (rung - below) * self.mean_cost
            below, trials = rung, math.ceil(trials / self.policy.eta)
            coming = max(0, trials - self._advanced(place))
        return work / slots

    def _advanced(self, place: int) -> int:
        return len(self.results.get(place, ())) - len(self.waiting.get(place, ()))

    def _next_job(self, rng: random.Random) -> _Segment | None:
        if self.ready:
            return self.ready.pop(0)
        rungs = self.policy.rungs
        for place in range(len(rungs) - 2, -1, -1):
            if self._may_advance(place):
                quality, cost = self.waiting[place].pop(0)
                return (rungs[place + 1] - rungs[place]) * cost, place + 1, quality, cost
        if self.to_begin:
            self.to_begin -= 1
            return rungs[0] * self.mean_cost, 0, rng.random(), self.mean_cost
        return None

    def _may_advance(self, place: int) -> bool:
        waiting = self.waiting.get(place)
        if not waiting:
            return False
        rank = bisect_left(self.results[place], waiting[0][0])
        return rank < self._quota(place)

    def _quota(self, place: int) -> int:
        results, eta = len(self.results.get(place, ())), self.policy.eta
        if not self._is_closed(place):
            return math.ceil(results / eta) if self.policy.kind == "stopping" else results // eta
        return max(math.ceil(results / eta), self.policy.finalists)

    def _is_closed(self, place: int) -> bool:
        """Return whether no more results come to a rung."""
        if self.to_begin or any(0 <= segment[1] <= place for segment in self.running):
            return False
        return not any(self._may_advance(below) for below in range(place))


def _add_trials(
    rest: _Rest, state: SearchState, policy: AshaPolicy, costs: dict[str, float], now: float
) -> None:
    rungs = policy.rungs
    qualities = _find_qualities(state, policy)
    for name, trial in state.trials.items():
        cost, quality = costs.get(name, rest.mean_cost), qualities.get(name, 0.5)
        if not trial.live and not is_interrupted(trial, policy):
            continue
        target = target_rung(trial, policy)
        seconds = (target - trial.epoch) * cost
        rung = rungs.index(target) if trial.competes else -1
        if trial.live:
            # At least a little of the epoch is left, or it would have been reported.
            done = min(max(0.0, now - _last_moment(trial)), 0.95 * cost)
            rest.running.append((max(seconds - done, 0.05 * cost), rung, quality, cost))
        else:
            rest.ready.append((seconds, rung, quality, cost))
    for place, rung in enumerate(rungs):
        ranked = [state.trials[name] for name in ranking(state, rung, policy)]
        rest.results[place] = sorted(qualities[trial.trial] for trial in ranked)
        rest.waiting[place] = sorted(
            (qualities[trial.trial], costs.get(trial.trial, rest.mean_cost))
            for trial in ranked
            if not trial.live and is_paused_at(trial, rung, policy)
        )


def _find_qualities(state: SearchState, policy: AshaPolicy) -> dict[str, float]:
    """Return the place of each trial with a result among all at the lowest rung, from 0 to 1.

    Those that have come further are ordered by their highest rung.
    """
    found: dict[str, float] = {}
    for rung in policy.rungs:
        ranked = ranking(state, rung, policy)
        if not found:
            found = {name: (place + 0.5) / len(ranked) for place, name in enumerate(ranked)}
            continue
        # The same places, given anew to those that are here.
        places = sorted(found[name] for name in ranked if name in found)
        found |= dict(zip((name for name in ranked if name in found), places, strict=True))
    return found


# --- what an epoch takes ---------------------------------------------------------------------


def _epoch_seconds(trial: TrialRecord) -> float:
    """Return what an epoch of a trial takes, its checkpoint included; 0 without one.

    The first epoch of a process may take much longer; of several it is left out.
    """
    seconds = list(_epoch_times(trial))
    return fmean(seconds[1:] or seconds) if seconds else 0.0


def _epoch_times(trial: TrialRecord) -> Iterator[float]:
    before = None
    for epoch in sorted(trial.reports):
        report = trial.reports[epoch]
        moment = _to_unix(report.time)
        is_next = before is not None and before[0] == (report.attempt, epoch - 1)
        # From report to report: writing and scoring count, too.
        between = moment - before[1] if before is not None and is_next else 0.0
        yield max(report.seconds, between) if between < 10 * report.seconds else report.seconds
        before = ((report.attempt, epoch), moment)


def _segment_overhead(state: SearchState) -> float:
    """Return the median time from the start of an attempt to the start of its first epoch."""
    found = []
    for trial in state.trials.values():
        first = next((r for r in trial.reports.values() if r.attempt == trial.attempt), None)
        if first is not None and trial.attempt_began:
            waited = _to_unix(first.time) - _to_unix(trial.attempt_began) - first.seconds
            found.append(max(0.0, waited))
    return median(found) if found else 0.0


def _last_moment(trial: TrialRecord) -> float:
    moments = [trial.attempt_began] if trial.attempt_began else []
    moments += [report.time for report in trial.reports.values() if report.attempt == trial.attempt]
    return max(map(_to_unix, moments), default=math.inf)


def _count_slots(state: SearchState) -> int:
    """Return how many trials run at once: now, or at most in the recent past."""
    live = sum(trial.live for trial in state.trials.values())
    if state.search.concurrent is not None:
        return max(live, 1, state.search.concurrent)
    began = state.sessions[-1].began.timestamp() if state.sessions else 0.0
    reports = [r for trial in state.trials.values() for r in trial.reports.values()]
    spans = sorted((_to_unix(r.time), r.seconds) for r in reports)[-_RECENT:]
    return max(live, 1, _most_at_once([(end - s, end) for end, s in spans if end - s >= began]))


def _most_at_once(spans: Sequence[tuple[float, float]]) -> int:
    # An end comes before a start of the same moment.
    edges = sorted([(end, -1) for _, end in spans] + [(start, 1) for start, _ in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def _to_unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
