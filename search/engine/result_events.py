"""Turn what a training tells into the ledger's events: pure."""

import math
import os
from pathlib import Path

from search.ledger.events import PartialEvent, ReportEvent
from search.ledger.kinds import OBJECTIVE, Failure
from search.ledger.trial import TrialRecord
from search.scheduler.policy import TrialOutcome
from spkmodel.worker.results import EpochReport, PartialReport


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


def failure(trial: str, reason: str) -> TrialOutcome:
    """Return the end of a trial whose training diverged or collapsed, as its reason says."""
    kind: Failure = "collapsed" if reason.startswith("collapsed") else "diverged"
    return TrialOutcome(trial, "failed", reason, "failure", kind)


def divergence(result: EpochReport) -> str:
    """Return why the metrics of an epoch show a divergence; empty if they do not."""
    if OBJECTIVE not in result.metrics:
        return f"diverged: no {OBJECTIVE} at epoch {result.epoch}"
    bad = [f"{key} is {value}" for key, value in result.metrics.items() if not math.isfinite(value)]
    return f"diverged: {', '.join(bad)} at epoch {result.epoch}" if bad else ""


def _seconds(trial: TrialRecord, result: EpochReport | PartialReport) -> float:
    """What the epoch has taken, with what earlier attempts spent on the same one."""
    before = 0.0 if trial.partial is None else trial.partial.seconds
    return before + result.seconds
