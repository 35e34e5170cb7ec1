"""Build the JSON documents of the command line, each with its schema's name and version."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from search.ledger.report import Report
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting.snapshot import Snapshot, displayed_state

Document = dict[str, Any]


def document(kind: str, /, **fields: Any) -> Document:
    """Return a document of the schema `spksearch.<kind>/1`.

    The number rises when a field is removed or changes its meaning.
    """
    return {"schema": f"spksearch.{kind}/1", **_replace_non_finite(fields)}


def snapshot_document(snapshot: Snapshot) -> Document:
    """Return the document of a search in `list` and `status`."""
    fields = asdict(snapshot)
    for running in fields["running"]:
        del running["curve"]  # `show --json` has it
    fields["rungs"] = [{"epoch": rung, "trials": count} for rung, count in snapshot.rungs]
    fields["failures"] = [{"trial": trial, "reason": why} for trial, why in snapshot.failures]
    return fields


def trial_document(trial: TrialRecord, status: str) -> Document:
    """Return the document of a trial in `trials`."""
    best = trial.best()
    return {
        "trial": trial.trial,
        "state": displayed_state(trial, status),
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
    """Return the document of an epoch."""
    return {
        "epoch": report.epoch,
        "time": report.time,
        "metrics": dict(report.metrics),
        "seconds": report.seconds,
        "checkpoint": report.checkpoint,
        "sha256": report.sha256,
    }


def full_trial_document(state: SearchState, trial: TrialRecord, status: str) -> Document:
    """Return the document of `show`: a trial with every epoch and its config."""
    return trial_document(trial, status) | {
        "search": state.search.search,
        "space": state.search.space,
        "config": trial.config,
        "reports": [
            epoch_document(report) | {"kept": trial.has_checkpoint(report)}
            for _, report in sorted(trial.reports.items())
        ],
    }


def _replace_non_finite(value: Any) -> Any:
    """Return the value with infinite and undefined numbers as None: JSON has none."""
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
