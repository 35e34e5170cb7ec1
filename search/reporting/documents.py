"""What the read verbs say to programs: JSON documents, each with its schema's name and version."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from search.ledger.state import SearchState
from search.ledger.trial import Report, TrialRecord
from search.reporting.snapshot import Snapshot, trial_state

Document = dict[str, Any]


def document(kind: str, /, **fields: Any) -> Document:
    """A document of `spksearch.<kind>/1`; the number rises when a field goes or changes meaning."""
    return {"schema": f"spksearch.{kind}/1", **_replace_non_finite(fields)}


def snapshot_document(now: Snapshot) -> Document:
    """A search as `list` and `status` give it."""
    fields = asdict(now)
    fields["rungs"] = [{"epoch": rung, "trials": count} for rung, count in now.rungs]
    fields["failures"] = [{"trial": trial, "reason": why} for trial, why in now.failures]
    return fields


def trial_document(trial: TrialRecord, status: str) -> Document:
    """A trial as `trials` gives it."""
    best = trial.best()
    return {
        "trial": trial.trial,
        "state": trial_state(trial, status),
        "reason": trial.reason,
        "rung": trial.rung,
        "epochs": trial.epoch,
        "best": None if best is None else epoch_document(best),
        "axes": trial.axes,
        "encoder_parameters": trial.encoder_parameters,
        "signature": trial.signature,
        "origin": trial.origin,
        "log_entry": trial.log_entry or None,
    }


def epoch_document(report: Report) -> Document:
    """One epoch."""
    return {
        "epoch": report.epoch,
        "time": report.time,
        "metrics": dict(report.metrics),
        "seconds": report.seconds,
        "checkpoint": report.checkpoint,
        "sha256": report.sha256,
    }


def full_trial_document(state: SearchState, trial: TrialRecord, status: str) -> Document:
    """A trial as `show` gives it, with every epoch and its config."""
    return trial_document(trial, status) | {
        "search": state.search["search"],
        "space": state.search["space"],
        "config": trial.config,
        "reports": [
            epoch_document(report) | {"kept": trial.has_checkpoint(report)}
            for _, report in sorted(trial.reports.items())
        ],
    }


def _replace_non_finite(value: Any) -> Any:
    """Infinite and undefined numbers become null: JSON has none."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {str(key): _replace_non_finite(entry) for key, entry in value.items()}
        case str():
            return value
        case Iterable():
            return [_replace_non_finite(entry) for entry in value]
        case _:
            return value
