"""Define ASHA's settings, and the per-trial decisions that depend on no other trial.

Which trials advance or stop depends on all of them: `search.scheduler.asha`.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from search.ledger.events import EndEvent
from search.ledger.kinds import OBJECTIVE, EndedBy, EndState, Failure
from search.ledger.settings import SearchSettings
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord

RETRIES = 2
"""Attempts of a trial that may crash; with one more it has failed."""

RETRIES_OUT_OF_MEMORY = 1
"""Of these, how many may run out of memory: others may cause the first, the second is its own."""

LOST_NODES = 10
"""Nodes that a trial may lose; it is seldom a trial that kills its node, but it happens."""

PREEMPTIONS = 100
"""Times that a trial's node may be taken away."""

REFUSALS = 30
"""Times in a row that the storage may refuse a trial: with the waits between them half an hour."""


@dataclass(frozen=True, slots=True)
class AshaPolicy:
    """Settings of ASHA and the budgets of a search; all of them are in the `search` event."""

    rungs: tuple[int, ...]
    """Epochs at which trials are compared, rising; the last is the end of training."""
    eta: int = 3
    kind: Literal["promotion", "stopping"] = "promotion"
    trials: int | None = None
    """How many to try in all; None: as many as the hours allow."""
    hours: float | None = None
    """Wall time of all sessions together."""
    max_failed: int | None = None
    """Trials that may fail for good before the search ends; None: any number."""
    finalists: int = 1
    """How many trials at least advance from every rung, once no other can come to it."""
    objectives: tuple[str, ...] = (OBJECTIVE,)
    """What is minimised; the dev EER first."""

    def __post_init__(self) -> None:
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] < 1:
            raise ValueError(f"rungs must be rising epochs from 1 on, got {self.rungs}")
        if self.eta < 2:
            raise ValueError(f"eta must be at least 2, got {self.eta}")
        if self.finalists < 1:
            raise ValueError(f"finalists must be at least 1, got {self.finalists}")
        if self.trials is None and self.hours is None:
            raise ValueError("a search needs a budget: trials, hours or both")

    @classmethod
    def from_settings(cls, settings: SearchSettings) -> "AshaPolicy":
        """Return the policy of a search's settings."""
        return cls(
            rungs=settings.rungs,
            eta=settings.eta,
            kind=settings.rule,
            trials=settings.trials,
            hours=settings.hours,
            max_failed=settings.max_failed,
            finalists=settings.finalists,
            objectives=settings.objectives,
        )

    @classmethod
    def from_state(cls, state: SearchState) -> "AshaPolicy":
        """Return the current policy; of an exhausted space, `trials` is the number created."""
        policy = cls.from_settings(state.search)
        return policy if state.exhausted is None else replace(policy, trials=state.exhausted)


def ladder(max_epochs: int, eta: int = 3, first: int = 1) -> tuple[int, ...]:
    """Return the rungs `first * eta**k` up to `max_epochs`, which is the last one.

    A rung less than a doubling below the last is left out: it would decide nothing.
    """
    if max_epochs < first:
        raise ValueError(f"max_epochs must be at least {first}, got {max_epochs}")
    rungs = []
    rung = first
    while 2 * rung <= max_epochs:
        rungs.append(rung)
        rung *= eta
    return tuple(rungs) if rungs and rungs[-1] == max_epochs else (*rungs, max_epochs)


def extend_ladder(
    rungs: tuple[int, ...], max_epochs: int, eta: int, before: int
) -> tuple[int, ...]:
    """Return the rungs of a search whose epochs of one trial change from `before` to `max_epochs`.

    The ladder that `ladder` makes is made anew. Of one that a user chose, the rungs stay that are
    at most half of the new end; above the last of them they go on by a factor of `eta`.
    """
    if rungs == ladder(before, eta):
        return ladder(max_epochs, eta)
    kept = [rung for rung in rungs if 2 * rung <= max_epochs]
    return (*kept[:-1], *ladder(max_epochs, eta, kept[-1])) if kept else (max_epochs,)


# --- one trial's state -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """The end of a trial, or its end until the search is extended."""

    trial: str
    state: EndState
    reason: str
    by: EndedBy
    kind: Failure | Literal[""] = ""
    """Of a failed trial: what made it fail."""

    def to_event(self, trial: TrialRecord) -> EndEvent:
        """Return the event that records it; `trial` is the one that it is the end of."""
        return EndEvent(
            trial=self.trial,
            state=self.state,
            reason=self.reason,
            by=self.by,
            kind=self.kind,
            rung=trial.rung,
        )


def is_open(trial: TrialRecord) -> bool:
    """Return whether the trial has no outcome yet."""
    return trial.state in ("running", "paused")


def awaits_end(trial: TrialRecord) -> bool:
    """Return whether an outcome may still come about for the trial.

    It has none, or was stopped by a budget and a user asked to stop it for good.
    """
    is_out_of_budget = trial.state == "stopped" and trial.ended_by == "budget"
    return is_open(trial) or (is_out_of_budget and trial.stop_asked)


def may_go_on(trial: TrialRecord) -> bool:
    """Return whether a trial that does not run may be trained on, now or in a longer search."""
    return (
        trial.state == "paused"
        or trial.state == "complete"
        or (trial.state == "stopped" and trial.ended_by == "budget")
    )


def target_rung(trial: TrialRecord, policy: AshaPolicy) -> int:
    """Return the rung that its last segment was to reach.

    If a new budget has changed the rungs, it is the highest rung that is no later than that. A
    trial that does not compete has one segment, to the last rung that there was when it began.
    """
    if not trial.competes and not trial.target:
        return policy.rungs[-1]
    return max((rung for rung in policy.rungs if rung <= trial.target), default=policy.rungs[0])


def is_paused_at(trial: TrialRecord, rung: int, policy: AshaPolicy) -> bool:
    """Return whether the trial waits with this rung as its highest, and is not to be stopped."""
    return (
        trial.competes
        and may_go_on(trial)
        and not trial.stop_asked
        and trial.epoch >= target_rung(trial, policy)
        and max((r for r in policy.rungs if r <= trial.epoch), default=0) == rung
    )


def counts_at_rung(trial: TrialRecord, rung: int) -> bool:
    """Return whether the trial takes one of a rung's places for those that advance.

    A trial that was killed or failed after it had advanced has used its place. One that was killed
    or failed at this rung leaves its place to the next best.
    """
    return trial.state not in ("killed", "failed") or trial.epoch > rung


def may_still_reach(trial: TrialRecord, rung: int, policy: AshaPolicy) -> bool:
    """Return whether a result of this trial may still come to the rung from below."""
    under_way = trial.live or is_interrupted(trial, policy)
    return under_way and trial.epoch < rung and target_rung(trial, policy) <= rung


def is_interrupted(trial: TrialRecord, policy: AshaPolicy) -> bool:
    """Return whether a trial is short of its target rung and may be started again."""
    return (
        may_go_on(trial)
        and not trial.stop_asked
        and _exhausted_retries(trial) is None
        and trial.epoch < target_rung(trial, policy)
    )


def terminal_state(trial: TrialRecord, policy: AshaPolicy) -> TrialOutcome | None:
    """Return the outcome of a trial that depends on no other trial; None if there is none yet."""
    if not awaits_end(trial) or trial.live:
        return None
    # The user's wish comes before what would become of the trial otherwise.
    if trial.stop_asked:
        return TrialOutcome(trial.trial, "killed", "stopped by hand", "user")
    exhausted = _exhausted_retries(trial)
    if exhausted is not None:
        why, kind = exhausted
        return TrialOutcome(trial.trial, "failed", f"{why}: {trial.reason}", "failure", kind)
    if trial.epoch >= policy.rungs[-1]:
        return TrialOutcome(trial.trial, "complete", f"trained {trial.epoch} epochs", "rule")
    return None


def _exhausted_retries(trial: TrialRecord) -> tuple[str, Failure] | None:
    """Return why a trial is not started again, and its kind of failure; None if it may be."""
    # The end of a driver and a stop by the user have no limit: they say nothing about the trial.
    interruptions = Counter(trial.interruptions)
    if interruptions["out_of_memory"] > RETRIES_OUT_OF_MEMORY:
        return f"out of memory {interruptions['out_of_memory']} times", "out_of_memory"
    # Crashes, hangs and a lack of memory share one limit; the most frequent names the failure.
    if trial.crashes > RETRIES and interruptions["hang"] > trial.crashes / 2:
        return f"hung {interruptions['hang']} times", "hang"
    if trial.crashes > RETRIES:
        return f"crashed {trial.crashes} times", "crash"
    if interruptions["lost_node"] > LOST_NODES:
        return f"lost {interruptions['lost_node']} nodes", "lost_node"
    if interruptions["preempted"] > PREEMPTIONS:
        return f"preempted {interruptions['preempted']} times", "lost_node"
    if trial.refusals > REFUSALS:
        return f"refused by the storage {trial.refusals} times in a row", "storage"
    return None


def must_advance_or_stop(trial: TrialRecord, policy: AshaPolicy) -> bool:
    """Return whether the trial stops where it is unless it may advance at once."""
    # A trial that was never started, or that is short of its rung, has nothing to be compared by.
    has_arrived = trial.attempt > 0 and not is_interrupted(trial, policy)
    return policy.kind == "stopping" and is_open(trial) and not trial.live and has_arrived
