"""Turn the results and deaths of attempts into events of the ledger."""

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

from search.checkpoints import storage_health
from search.checkpoints.manager import CheckpointManager
from search.ledger.events import EventSteps, PartialEvent, ReportEvent
from search.ledger.kinds import OBJECTIVE, Failure, InterruptReason
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord, crash_event
from search.scheduler.policy import TrialOutcome, is_open
from spkmodel.worker.results import (
    CheckpointUnusable,
    EpochReport,
    PartialReport,
    StorageRefused,
    TrainingFailed,
    WorkerResult,
)

log = logging.getLogger(__name__)

MID_EPOCH = "stopped in the middle of an epoch"
"""Why an attempt was interrupted that was stopped at once."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why a segment ends before its rung."""

    reason: str = ""
    """Why the driver leaves: what an attempt tells is its last result. Empty: it does not."""
    is_over: bool = False
    """Whether a segment ends with its epoch: after a stop, or when the hours are used."""


class ResultHandler:
    """Handles the results of one search, for as long as its driver lives.

    Its methods give events, each of which is recorded before the method goes on.
    """

    def __init__(self, folder: Path, state: SearchState, checkpoints: CheckpointManager) -> None:
        self._folder = folder
        self._state = state
        self._checkpoints = checkpoints

    def take(self, result: WorkerResult, last_rung: int, leaving: Interruption) -> EventSteps[bool]:
        """Record a result; return whether its segment is over.

        Args:
            result: of an attempt, also of one that is over: that is refused.
            last_rung: the last epoch that any trial is trained for.
            leaving: what ends the segment before its rung.
        """
        trial = self._state.trials[result.trial]
        if isinstance(result, PartialReport):
            return (yield from self._take_partial(trial, result, leaving))
        if not is_current(trial, result.attempt):
            log.warning("refused a late result of %s, attempt %d", trial.trial, result.attempt)
            return True
        match result:
            case CheckpointUnusable(reason=reason):
                why = f"its checkpoint cannot be used: {reason}"
                yield crash_event(trial, why, "storage")
                yield from self._checkpoints.on_damaged(trial, reason)
            case StorageRefused(errno=number):
                why = f"its checkpoint cannot be written: {os.strerror(number)}"
                yield crash_event(trial, why, "storage")
                where = f"a checkpoint of {trial.trial} cannot be written"
                yield from self._checkpoints.on_refused(number, where)
            case TrainingFailed(reason=reason):
                yield failure(trial, reason).to_event(trial)
            case EpochReport():
                yield from self._take_epoch(trial, result, last_rung, leaving)
        return not trial.live

    def _take_epoch(
        self, trial: TrialRecord, result: EpochReport, last_rung: int, leaving: Interruption
    ) -> EventSteps[None]:
        if diverged := divergence(result):
            yield failure(trial, diverged).to_event(trial)
            return
        yield report_event(trial, result, self._folder)
        self._checkpoints.on_accepted()
        if trial.live and (trial.stop_asked or leaving.is_over):
            reason = leaving.reason or "stopped between two epochs"
            yield crash_event(trial, reason, "stopped")
        elif trial.live and trial.epoch >= last_rung:
            yield crash_event(trial, "the budget of epochs was lowered", "stopped")

    def _take_partial(
        self, trial: TrialRecord, result: PartialReport, leaving: Interruption
    ) -> EventSteps[bool]:
        # The last attempt may bring one after it was interrupted: it was told to leave, and took
        # its time.
        is_last = is_open(trial) and trial.attempt == result.attempt
        if not is_last or result.epoch != trial.epoch + 1:
            log.warning("refused a late part of %s, attempt %d", trial.trial, result.attempt)
            return True
        yield partial_event(trial, result, self._folder)
        self._checkpoints.on_accepted()
        if trial.live and (result.is_last or leaving.reason):
            yield crash_event(trial, leaving.reason or MID_EPOCH, "stopped")
        return not trial.live

    def take_death(
        self, trial: TrialRecord, reason: str, kind: InterruptReason
    ) -> EventSteps[None]:
        """Record that the current attempt died by itself."""
        log.warning("trial %s, attempt %d crashed: %s", trial.trial, trial.attempt, reason)
        yield crash_event(trial, reason, kind)
        if kind == "storage":
            where = f"{trial.trial} cannot write or read what it must"
            yield from self._checkpoints.on_refused(storage_health.error_number(reason), where)


def is_current(trial: TrialRecord, attempt: int) -> bool:
    """Return whether an attempt is the one under way."""
    return trial.live and trial.attempt == attempt


def report_event(trial: TrialRecord, result: EpochReport, folder: Path) -> ReportEvent:
    """Return the event of a trained epoch; `folder` is the search's."""
    return ReportEvent(
        trial=trial.trial,
        attempt=trial.attempt,
        epoch=result.epoch,
        seconds=_seconds(trial, result),
        checkpoint=os.path.relpath(result.checkpoint.folder, folder),
        sha256=result.checkpoint.sha256,
        bytes=result.checkpoint.bytes,
        metrics=dict(result.metrics),
        gpu_share=result.gpu_share,
    )


def partial_event(trial: TrialRecord, result: PartialReport, folder: Path) -> PartialEvent:
    """Return the event of a checkpoint in the middle of an epoch; `folder` is the search's."""
    return PartialEvent(
        trial=trial.trial,
        attempt=trial.attempt,
        epoch=result.epoch,
        seconds=_seconds(trial, result),
        checkpoint=os.path.relpath(result.checkpoint.folder, folder),
        sha256=result.checkpoint.sha256,
        bytes=result.checkpoint.bytes,
        steps=result.steps,
        of=result.of,
    )


def failure(trial: TrialRecord, reason: str) -> TrialOutcome:
    """Return the `end` event of a trial whose training diverged or collapsed."""
    kind: Failure = "collapsed" if reason.startswith("collapsed") else "diverged"
    return TrialOutcome(trial.trial, "failed", reason, "failure", kind)


def divergence(result: EpochReport) -> str:
    """Return why the metrics of an epoch show a divergence; empty if they do not."""
    if OBJECTIVE not in result.metrics:
        return f"diverged: no {OBJECTIVE} at epoch {result.epoch}"
    bad = [f"{key} is {value}" for key, value in result.metrics.items() if not math.isfinite(value)]
    return f"diverged: {', '.join(bad)} at epoch {result.epoch}" if bad else ""


def _seconds(trial: TrialRecord, result: EpochReport | PartialReport) -> float:
    """Return the seconds of the epoch, including those of earlier attempts at it."""
    before = 0.0 if trial.partial is None else trial.partial.seconds
    return before + result.seconds
