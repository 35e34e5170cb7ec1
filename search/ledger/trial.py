"""The record of one trial: its epochs, its attempts, and its outcome.

What it may do next is decided in `search.scheduler`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from search.ledger.events import (
    CrashEvent,
    DamagedEvent,
    EndEvent,
    RemovedEvent,
    SegmentEvent,
    TrialEvent,
    WarmWeights,
)
from search.ledger.kinds import COUNTED, SIZE, Failure, InterruptReason, TrialState
from search.ledger.queue import FULL_LENGTH_PREFIX
from search.ledger.report import Partial, Report


@dataclass(slots=True)
class TrialRecord:
    """The record of one trial."""

    trial: str
    config: dict[str, Any]
    axes: dict[str, Any]
    distributions: dict[str, str]
    signature: str
    origin: str
    created: str
    wish: str = ""
    """Key of the queued trial that it is; empty: the sampler's idea."""
    log_entry: str = ""
    """The entry of a notebook that it is."""
    warm_start: WarmWeights | None = None
    """The weights that it starts from; None: from chance."""
    encoder_parameters: int | None = None
    """Weights of the encoder, the loss's head not included; None: not known."""
    reports: dict[int, Report] = field(default_factory=dict)
    """By epoch, counted from 1."""
    removed: frozenset[str] = frozenset()
    """Checkpoints that were removed to save space; what they measured stands."""
    damaged: frozenset[str] = frozenset()
    """Checkpoints that were missing or not what was recorded."""
    superseded: tuple[Report, ...] = ()
    """Reports after a damaged checkpoint: these epochs are trained again."""
    partial: Partial | None = None
    """How far the epoch under way had come when that was last written down; None: it was not."""
    past_partials: tuple[Partial, ...] = ()
    """Such checkpoints that nobody goes on from any more, and that are not removed yet."""
    state: TrialState = "paused"
    reason: str = ""
    """Why it ended, or why its last attempt was cut short."""
    ended_by: str = ""
    """Of an ended trial: "rule", "budget", "user", "failure"."""
    ended: str = ""
    """When it ended."""
    ended_in: int = 0
    """Number of the session in which it ended."""
    failure: Failure | Literal[""] = ""
    """Of a failed trial: what it was."""
    rung: int = 0
    """The highest rung with a result, as its epoch; 0 before the first."""
    target: int = 0
    """The epoch its last segment aims, or aimed, at."""
    attempt_began: str = ""
    """When its last start was recorded."""
    attempt: int = 0
    """Number of its last start; words of an earlier one are refused."""
    crashes: int = 0
    """Attempts that used up a retry; those that a dead driver took along do not count."""
    interruptions: dict[str, int] = field(default_factory=dict)
    """Attempts that were cut short, by `InterruptReason`, whether or not they count."""
    refusals: int = 0
    """Attempts, since its last epoch, that a storage in the way has cut short."""
    last_interruption: InterruptReason | Literal[""] = ""
    """Why the last attempt was cut short; empty if it was not."""
    stop_asked: bool = False

    @property
    def competes(self) -> bool:
        """Whether it is compared with others at the rungs, and may be stopped there.

        The others are configs of earlier trials, trained again to the last epoch with other seeds.
        """
        return not self.wish.startswith(FULL_LENGTH_PREFIX)

    @property
    def live(self) -> bool:
        """Whether an attempt is under way."""
        return self.state == "running"

    @property
    def needs_exclusive_memory(self) -> bool:
        """Whether its last attempt ran out of memory."""
        return self.state == "paused" and self.last_interruption == "out_of_memory"

    @property
    def epoch(self) -> int:
        """Epochs trained and recorded."""
        return max(self.reports, default=0)

    @property
    def last(self) -> Report | None:
        """The newest epoch."""
        return self.reports[self.epoch] if self.reports else None

    def has_checkpoint(self, report: Report | Partial) -> bool:
        """Return whether a checkpoint was neither removed nor found damaged."""
        return report.checkpoint not in self.removed and report.checkpoint not in self.damaged

    def recorded(self) -> Iterator[Report | Partial]:
        """Yield every report whose checkpoint may still be on disk, damaged ones included."""
        yield from self.reports.values()
        yield from self.superseded
        yield from self.past_partials
        if self.partial is not None:
            yield self.partial

    @property
    def resume_point(self) -> Report | Partial | None:
        """The newest checkpoint, of an epoch or of a part of one; None: it can only begin again."""
        if self.partial is not None and self.has_checkpoint(self.partial):
            return self.partial
        epochs = sorted(self.reports, reverse=True)
        here = (self.reports[epoch] for epoch in epochs)
        return next((report for report in here if self.has_checkpoint(report)), None)

    def best(self) -> Report | None:
        """The epoch with the lowest dev EER, the earliest of equals; None without a usable one."""
        usable = [report for report in self.reports.values() if report.objective < math.inf]
        return min(usable, key=lambda report: (report.objective, report.epoch), default=None)

    def sizes(self, objectives: tuple[str, ...]) -> tuple[float, ...]:
        """Return the objectives that no training changes (encoder size); infinite if unknown."""
        assert set(objectives) <= {SIZE}, objectives
        known = self.encoder_parameters
        return tuple(math.inf if known is None else float(known) for _ in objectives)

    def at(self, epoch: int) -> float:
        """The dev EER of an epoch; infinite if it is missing or not finite."""
        report = self.reports.get(epoch)
        return math.inf if report is None else report.objective

    # --- events ------------------------------------------------------------------------------

    @classmethod
    def from_event(cls, event: TrialEvent) -> "TrialRecord":
        """Return the record of a trial that has just been created."""
        return cls(
            trial=event.trial,
            config=event.config,
            axes=event.axes,
            distributions=event.distributions,
            signature=event.signature,
            origin=event.origin,
            created=event.time,
            wish=event.wish,
            log_entry=event.log_entry or "",
            warm_start=event.warm_start,
            encoder_parameters=event.encoder_parameters,
        )

    def begin_attempt(self, event: SegmentEvent) -> None:
        """Begin an attempt, the first or a later one."""
        self.state = "running"
        self.reason, self.ended_by, self.ended = "", "", ""
        self.failure, self.last_interruption = "", ""
        self.attempt, self.target = event.attempt, event.to_rung
        self.attempt_began = event.time

    def interrupt_attempt(self, event: CrashEvent) -> None:
        """Count the interruption of the attempt under way."""
        self.state, self.reason = "paused", event.reason
        self.crashes += event.counts
        self.interruptions = {
            **self.interruptions,
            event.kind: self.interruptions.get(event.kind, 0) + 1,
        }
        self.last_interruption = event.kind
        self.refusals += event.kind == "storage"

    def end(self, event: EndEvent, session: int) -> None:
        """Record the outcome, in the session of this number."""
        self.state, self.reason = event.state, event.reason
        self.ended_by, self.ended, self.ended_in = event.by, event.time, session
        if event.state == "failed" and event.kind:
            self.failure = event.kind

    def add_report(self, report: Report, rungs: tuple[int, ...]) -> None:
        """Add the report of an epoch; at its target epoch the trial pauses."""
        self.reports, self.refusals = {**self.reports, report.epoch: report}, 0
        self.retire_partial()
        if report.epoch in rungs:
            self.rung = max(self.rung, report.epoch)
        if report.epoch >= self.target:
            self.state = "paused"

    def retire_partial(self) -> None:
        """Drop the partial checkpoint, which no attempt starts from any more."""
        if self.partial is not None:
            self.past_partials = (*self.past_partials, self.partial)
            self.partial = None

    def remove_checkpoints(self, event: RemovedEvent) -> None:
        """Forget checkpoints that are removed; keep their measurements."""
        self.removed |= set(event.checkpoints)
        self.superseded = tuple(r for r in self.superseded if r.checkpoint not in self.removed)
        past = (each for each in self.past_partials if each.checkpoint not in self.removed)
        self.past_partials = tuple(past)
        if self.partial is not None and self.partial.checkpoint in self.removed:
            self.partial = None

    def lose_checkpoint(self, event: DamagedEvent, rungs: tuple[int, ...]) -> None:
        """Drop all epochs after the one that the trial goes on from."""
        self.damaged |= {event.checkpoint}
        kept = {e: report for e, report in self.reports.items() if e <= event.from_epoch}
        lost = [report for epoch, report in self.reports.items() if epoch not in kept]
        self.superseded = (*self.superseded, *lost)
        self.reports = kept
        part = self.partial
        if part is not None and (
            part.checkpoint in self.damaged or part.epoch > event.from_epoch + 1
        ):
            self.retire_partial()
        self.find_rung(rungs)

    def find_rung(self, rungs: tuple[int, ...]) -> None:
        """Compute the highest rung with a result again, after epochs or rungs have changed."""
        self.rung = max((rung for rung in rungs if rung in self.reports), default=0)


def crash_event(trial: TrialRecord, reason: str, kind: InterruptReason) -> CrashEvent:
    """Return the event that interrupts a trial's attempt."""
    return CrashEvent(
        trial=trial.trial,
        attempt=trial.attempt,
        reason=reason,
        kind=kind,
        counts=kind in COUNTED,
    )
