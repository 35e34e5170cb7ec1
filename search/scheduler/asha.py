"""The pure rule: which trial advances, which ends, what runs next.

Successive halving without waiting (ASHA; Li et al. 2020, arXiv:1810.05934). In its promotion form
(algorithm 2 there) a trial pauses at every rung and goes on while it is among the best 1/eta of all
that came there; in its stopping form it is judged once, on arrival. An interrupted trial comes
first, then what somebody wished for, then the highest rung's, then a new one; at the very last one
that ran out of memory, which then has the machines to itself. With a second objective, "best" is
front by front (`search.scheduler.pareto`): a small network need not be better than a large one,
only than those its size.

What the rule asks about all trials at once stands in `Trials`. `Scan` answers by looking at every
trial, each time; `search.scheduler.rung_index` keeps the same answers up to date, for searches of
thousands.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler import pareto
from search.scheduler.policy import (
    AshaPolicy,
    TrialOutcome,
    awaits_end,
    counts_at_rung,
    is_heading_to,
    is_interrupted,
    is_judged_on_arrival,
    is_open,
    is_paused_at,
    target_rung,
    terminal_state,
)

EXHAUSTED = "every config of the space has been tried"
"""Why a search ends whose sampler has no other idea."""

HOPELESS = 3
"""Trials that may crash for good before anything is reported; then nothing new is begun."""


def rule_in_force(state: SearchState) -> AshaPolicy:
    """What was set down; where the space has run out of configs, no trial more than there was."""
    rule = AshaPolicy.of(state.search)
    return rule if state.exhausted is None else replace(rule, trials=state.exhausted)


@dataclass(frozen=True, slots=True)
class Resume:
    """Train an interrupted trial on, to the rung it was going to."""

    trial: str
    to_rung: int


@dataclass(frozen=True, slots=True)
class Advance:
    """Train a trial on, to the next rung."""

    trial: str
    to_rung: int


@dataclass(frozen=True, slots=True)
class StartQueued:
    """Make a trial of a wish and train it to the first rung; no budget of trials forbids it."""

    wish: QueuedTrial
    to_rung: int


@dataclass(frozen=True, slots=True)
class NewTrial:
    """Ask the sampler for a trial and train it to the first rung."""

    to_rung: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may start: the search is on hold, or what comes next depends on a running trial."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is running and nothing is left to run."""

    reason: str


Job = Resume | Advance | StartQueued | NewTrial | Wait | Done


class Trials(Protocol):
    """What the rule asks about all trials at once."""

    def any_live(self) -> bool:
        """Whether an attempt is under way."""
        ...

    def interrupted(self) -> TrialRecord | None:
        """The oldest trial that is short of the rung it was going to, and does not want room."""
        ...

    def needing_exclusive_memory(self) -> TrialRecord | None:
        """The oldest trial that is short of it because it ran out of memory."""
        ...

    def failed(self) -> int:
        """How many trials have failed for good."""
        ...

    def to_judge(self) -> Iterable[TrialRecord]:
        """Oldest first, at least all that an end may have come about for."""
        ...

    def any_heading_to(self, rung: int) -> bool:
        """Whether a result may still come to the rung from below."""
        ...

    def results(self, rung: int) -> int:
        """How many trials have a result at the rung."""
        ...

    def place(self, trial: TrialRecord, rung: int) -> int | None:
        """Its place among the results of a rung, from 1; None without one."""
        ...

    def waiting(self, rung: int, places: int) -> list[TrialRecord]:
        """Those that rest at the rung and hold one of so many first places there, best first."""
        ...


class Scan:
    """The answers, each by looking at all trials: what they mean."""

    def __init__(self, state: SearchState, rule: AshaPolicy) -> None:
        self._state = state
        self._rule = rule

    def any_live(self) -> bool:
        return any(trial.live for trial in self._state.trials.values())

    def interrupted(self) -> TrialRecord | None:
        return self._interrupted(needs_exclusive_memory=False)

    def needing_exclusive_memory(self) -> TrialRecord | None:
        return self._interrupted(needs_exclusive_memory=True)

    def _interrupted(self, needs_exclusive_memory: bool) -> TrialRecord | None:
        trials = (
            t
            for t in self._state.trials.values()
            if t.needs_exclusive_memory == needs_exclusive_memory
        )
        return next((trial for trial in trials if is_interrupted(trial, self._rule)), None)

    def failed(self) -> int:
        return sum(trial.state == "failed" for trial in self._state.trials.values())

    def to_judge(self) -> Iterable[TrialRecord]:
        return self._state.trials.values()

    def any_heading_to(self, rung: int) -> bool:
        return any(is_heading_to(t, rung, self._rule) for t in self._state.trials.values())

    def results(self, rung: int) -> int:
        return len(rung_results(self._state, rung))

    def place(self, trial: TrialRecord, rung: int) -> int | None:
        names = ranking(self._state, rung, self._rule)
        return names.index(trial.trial) + 1 if trial.trial in names else None

    def waiting(self, rung: int, places: int) -> list[TrialRecord]:
        ranked = [self._state.trials[name] for name in ranking(self._state, rung, self._rule)]
        best = [trial for trial in ranked if counts_at_rung(trial, rung)][:places]
        return [trial for trial in best if is_paused_at(trial, rung, self._rule)]


def next_job(
    state: SearchState, rule: AshaPolicy, spent_hours: float = 0.0, trials: Trials | None = None
) -> Job:
    """What a free slot should do now; on hold, nothing is started, but what is over still ends."""
    job = _next_job(state, rule, spent_hours, trials or Scan(state, rule))
    return Wait() if state.holds and not isinstance(job, Done) else job


def ends(state: SearchState, rule: AshaPolicy, trials: Trials | None = None) -> list[TrialOutcome]:
    """The ends that have come about since the last event and are not recorded yet."""
    trials = trials or Scan(state, rule)
    due = [trial for trial in trials.to_judge() if awaits_end(trial) and not trial.live]
    found = [
        terminal_state(trial, rule) or _on_arrival(state, trial, rule, trials) for trial in due
    ]
    return [end for end in found if end is not None]


def unfulfillable_requests(state: SearchState) -> list[tuple[str, str]]:
    """Wishes, by key, that can no longer be fulfilled, and why."""
    found = []
    for wish in state.queue.values():
        source = wish.weights_of
        trial = state.trials.get(state.begun.get(source, ""))
        if trial is not None and trial.state in ("failed", "killed"):
            found.append(
                (wish.key, f"the weights of {trial.trial} are wanted, which {trial.state}")
            )
        elif source and trial is None and source not in state.queue:
            found.append((wish.key, f"the weights of {source!r} are wanted, which is not tried"))
    return found


def last_ends(
    state: SearchState, rule: AshaPolicy, why: str, trials: Trials | None = None
) -> list[TrialOutcome]:
    """The ends of all that waited to the last, once nothing can run any more."""
    trials = trials or Scan(state, rule)
    return [
        TrialOutcome(trial.trial, "stopped", _place(trial, rule, why, trials), "budget")
        for trial in state.trials.values()
        if is_open(trial)
    ]


def is_hopeless(state: SearchState) -> bool:
    """Whether the running driver has seen nothing but crashes, and so will see nothing else."""
    if not state.sessions or state.finish is not None:
        return False
    if any(trial.reports or trial.live for trial in state.trials.values()):
        return False
    failed = [trial for trial in state.trials.values() if trial.state == "failed" and trial.crashes]
    return sum(trial.ended_in == len(state.sessions) for trial in failed) >= HOPELESS


def advancing(state: SearchState, rule: AshaPolicy, trials: Trials | None = None) -> list[Advance]:
    """All trials that may go to their next rung now: highest rung first, best first."""
    trials = trials or Scan(state, rule)
    found: list[Advance] = []
    settled = rule.trials is not None and len(state.trials) >= rule.trials
    settled = settled and not any(_is_ready(state, wish) for wish in state.queue.values())
    for rung, following in zip(rule.rungs, rule.rungs[1:], strict=False):
        settled = settled and not trials.any_heading_to(rung)
        places = _places(trials.results(rung), rule, settled)
        here = [Advance(trial.trial, following) for trial in trials.waiting(rung, places)]
        settled = settled and not here
        found = here + found
    return found


def rung_results(state: SearchState, rung: int) -> list[tuple[float, str]]:
    """All results at a rung, best first, ties by trial; what is not finite is no result."""
    results = ((trial.at(rung), trial.trial) for trial in state.trials.values())
    return sorted(each for each in results if math.isfinite(each[0]))


def ranking(state: SearchState, rung: int, rule: AshaPolicy) -> list[str]:
    """The trials with a result at a rung, best first."""
    results = rung_results(state, rung)
    if len(rule.objectives) == 1:
        return [name for _, name in results]
    return pareto.ordered(
        {name: (value, *state.trials[name].sizes(rule.objectives[1:])) for value, name in results}
    )


# --- how -------------------------------------------------------------------------------------


def _next_job(state: SearchState, rule: AshaPolicy, spent_hours: float, trials: Trials) -> Job:
    is_live = trials.any_live()
    over = _why_over(state, rule, spent_hours, trials)
    if over:
        return Wait() if is_live else Done(over)
    interrupted = trials.interrupted()
    if interrupted is not None:
        return Resume(interrupted.trial, target_rung(interrupted, rule))
    wish = next((wish for wish in state.queue.values() if _is_ready(state, wish)), None)
    if wish is not None:
        return StartQueued(wish, rule.rungs[0])
    candidates = advancing(state, rule, trials)
    if candidates:
        return candidates[0]
    if rule.trials is None or len(state.trials) + len(state.queue) < rule.trials:
        return NewTrial(rule.rungs[0])
    if is_live:
        return Wait()
    # What ran out of memory beside others is tried once more when it has the machines to itself.
    last = trials.needing_exclusive_memory()
    return Done(_all_tried(state)) if last is None else Resume(last.trial, target_rung(last, rule))


def _all_tried(state: SearchState) -> str:
    return "all trials tried" if state.exhausted is None else EXHAUSTED


def _is_ready(state: SearchState, wish: QueuedTrial) -> bool:
    """Whether the weights that it starts from, if any, are there."""
    trial = state.trials.get(state.begun.get(wish.weights_of, ""))
    return not wish.weights_of or (trial is not None and trial.state == "complete")


def _why_over(state: SearchState, rule: AshaPolicy, spent_hours: float, trials: Trials) -> str:
    """Why nothing more is to be started although something is left; empty if there is no reason."""
    if state.search_stop:
        return "asked to stop"
    if rule.hours is not None and spent_hours >= rule.hours:
        return f"{rule.hours:g} hours used"
    if rule.max_failed is not None and trials.failed() > rule.max_failed:
        return too_many_failed(rule.max_failed)
    return f"the first {HOPELESS} trials all crashed" if is_hopeless(state) else ""


def too_many_failed(most: int) -> str:
    """Why a search ends that has lost more trials than it may."""
    return f"more than {most} trials failed"


def _places(results: int, rule: AshaPolicy, settled: bool) -> int:
    """How many of so many results at a rung go on."""
    # Once no other trial can come to this rung, the share is rounded up: otherwise a search with
    # few trials would leave its last rungs empty.
    rounds_up = settled or rule.kind == "stopping"
    places = math.ceil(results / rule.eta) if rounds_up else results // rule.eta
    return max(places, rule.finalists) if settled else places


# --- what has come about ------------------------------------------------------------------------


def _on_arrival(
    state: SearchState, trial: TrialRecord, rule: AshaPolicy, trials: Trials
) -> TrialOutcome | None:
    if not is_judged_on_arrival(trial, rule):
        return None
    if any(job.trial == trial.trial for job in advancing(state, rule, trials)):
        return None
    reason = _place(trial, rule, f"not among the best 1/{rule.eta}", trials)
    return TrialOutcome(trial.trial, "stopped", reason, "rule")


def _place(trial: TrialRecord, rule: AshaPolicy, why: str, trials: Trials) -> str:
    rung = max((r for r in rule.rungs if r <= trial.epoch), default=0)
    if not rung:
        return f"{why} before rung {rule.rungs[0]}"
    place = trials.place(trial, rung)
    if place is None:
        return f"{why}; no usable result at rung {rung}"
    return f"{why}; {place} of {trials.results(rung)} at rung {rung}"
