"""What a search goes by, and what it says of one trial that no other has a say in.

Which trials advance and what runs next is a matter of all of them: `search.scheduler.asha`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from search.ledger.trial import OBJECTIVE, Failure, TrialRecord

RETRIES = 2
"""Attempts that may crash before the trial counts as failed with the next one."""

RETRIES_OUT_OF_MEMORY = 1
"""Of these, how many may run out of memory: once others were in the way, twice it is too large."""

LOST_NODES = 10
"""Nodes that a trial may lose; it is seldom a trial that kills its node, but it happens."""

PREEMPTIONS = 100
"""Times that a trial's node may be taken away."""

REFUSALS = 30
"""Times in a row that the storage may refuse a trial: with the waits between them half an hour."""


@dataclass(frozen=True, slots=True)
class AshaPolicy:
    """What decides; all of it stands in the `search` event."""

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
    """How many trials at least go on from every rung, once no other can come to it."""
    objectives: tuple[str, ...] = (OBJECTIVE,)
    """What is to be low; the dev EER first."""

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
    def of(cls, search: Mapping[str, Any]) -> "AshaPolicy":
        """The rule that a `search` event sets down."""
        return cls(
            rungs=tuple(search["rungs"]),
            eta=search["eta"],
            kind=search["rule"],
            trials=search["trials"],
            hours=search["hours"],
            max_failed=search.get("max_failed"),
            finalists=search.get("finalists", 1),
            objectives=tuple(search.get("objectives", (OBJECTIVE,))),
        )


def ladder(max_epochs: int, eta: int = 3, first: int = 1) -> tuple[int, ...]:
    """The rungs `first * eta**k` up to `max_epochs`, which is the last one.

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


# --- what to do ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """A trial is over, or over until the search is extended."""

    trial: str
    state: Literal["complete", "stopped", "failed", "killed"]
    reason: str
    by: Literal["rule", "budget", "user", "failure"]
    kind: Failure | Literal[""] = ""
    """Of a failed one: what it was."""

    def event(self, trial: TrialRecord) -> dict[str, Any]:
        """The fields of the ledger's `end` event; `trial` is the one that it is the end of."""
        return {**asdict(self), "rung": trial.rung}


def is_open(trial: TrialRecord) -> bool:
    """Whether it has no end yet."""
    return trial.state in ("running", "paused")


def awaits_end(trial: TrialRecord) -> bool:
    """Whether an end may come about for it: it has none, or a budget's and is not wanted."""
    is_laid_down = trial.state == "stopped" and trial.ended_by == "budget"
    return is_open(trial) or (is_laid_down and trial.stop_asked)


def may_go_on(trial: TrialRecord) -> bool:
    """Whether it is at rest, now or until the search is extended."""
    return (
        trial.state == "paused"
        or trial.state == "complete"
        or (trial.state == "stopped" and trial.ended_by == "budget")
    )


def target_rung(trial: TrialRecord, rule: AshaPolicy) -> int:
    """Where its last segment was going; if the ladder has changed, the rung just below that."""
    return max((rung for rung in rule.rungs if rung <= trial.target), default=rule.rungs[0])


def is_paused_at(trial: TrialRecord, rung: int, rule: AshaPolicy) -> bool:
    """Whether the trial waits with this rung as its highest, and nobody wants it stopped."""
    return (
        may_go_on(trial)
        and not trial.stop_asked
        and trial.epoch >= target_rung(trial, rule)
        and max((r for r in rule.rungs if r <= trial.epoch), default=0) == rung
    )


def counts_at_rung(trial: TrialRecord, rung: int) -> bool:
    """Whether its result counts for the places of a rung.

    A trial killed or failed after this rung had its turn; one that ended here frees its place.
    """
    return trial.state not in ("killed", "failed") or trial.epoch > rung


def is_heading_to(trial: TrialRecord, rung: int, rule: AshaPolicy) -> bool:
    """Whether a result of this trial may still come to the rung from below."""
    under_way = trial.live or is_interrupted(trial, rule)
    return under_way and trial.epoch < rung and target_rung(trial, rule) <= rung


def is_interrupted(trial: TrialRecord, rule: AshaPolicy) -> bool:
    """Whether a trial is short of the rung it was going to and may be started again."""
    return (
        may_go_on(trial)
        and not trial.stop_asked
        and _given_up(trial) is None
        and trial.epoch < target_rung(trial, rule)
    )


def terminal_state(trial: TrialRecord, rule: AshaPolicy) -> TrialOutcome | None:
    """The end of a trial that no other has a say in."""
    if not awaits_end(trial) or trial.live:
        return None
    if trial.stop_asked:
        return TrialOutcome(trial.trial, "killed", "stopped by hand", "user")
    given_up = _given_up(trial)
    if given_up is not None:
        why, kind = given_up
        return TrialOutcome(trial.trial, "failed", f"{why}: {trial.reason}", "failure", kind)
    if trial.epoch >= rule.rungs[-1]:
        return TrialOutcome(trial.trial, "complete", f"trained {trial.epoch} epochs", "rule")
    return None


def _given_up(trial: TrialRecord) -> tuple[str, Failure] | None:
    """Why a trial is not started again, and what that makes of it; None if it may be."""
    cuts = Counter(trial.cuts)
    if cuts["out_of_memory"] > RETRIES_OUT_OF_MEMORY:
        return f"out of memory {cuts['out_of_memory']} times", "out_of_memory"
    if trial.crashes > RETRIES and cuts["hang"] > trial.crashes / 2:
        return f"hung {cuts['hang']} times", "hang"
    if trial.crashes > RETRIES:
        return f"crashed {trial.crashes} times", "crash"
    if cuts["lost_node"] > LOST_NODES:
        return f"lost {cuts['lost_node']} nodes", "lost_node"
    if cuts["preempted"] > PREEMPTIONS:
        return f"preempted {cuts['preempted']} times", "lost_node"
    if trial.refusals > REFUSALS:
        return f"refused by the storage {trial.refusals} times in a row", "storage"
    return None


def is_judged_on_arrival(trial: TrialRecord, rule: AshaPolicy) -> bool:
    """Whether it ends where it is, unless it may go on at once."""
    is_there = trial.attempt > 0 and not is_interrupted(trial, rule)
    return rule.kind == "stopping" and is_open(trial) and not trial.live and is_there
