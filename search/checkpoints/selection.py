"""Select the checkpoint of a trial that is promoted, evaluated or started from."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from search.core.errors import NotFound, NoUsableTrial
from search.ledger.report import Report
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord

_TRIAL = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)/(t\d+)")


@dataclass(frozen=True)
class SelectedCheckpoint:
    """A checkpoint, with its trial and the epoch that it was saved at."""

    trial: TrialRecord
    report: Report
    folder: Path
    """Of the checkpoint."""


def parse_trial(source: str) -> tuple[str, str] | None:
    """Return search and trial of `SEARCH/TRIAL`; None if `source` is not of that form."""
    match = _TRIAL.fullmatch(source)
    return None if match is None else (match[1], match[2])


def select_checkpoint(
    state: SearchState, folder: Path, trial: str | None = None
) -> SelectedCheckpoint:
    """Return the checkpoint to use: that of the named trial, or that of the search's best trial.

    Trials, and the epochs of a trial, are compared by their lowest dev EER. An epoch whose
    checkpoint is gone is passed over.

    Args:
        state: of the search.
        folder: the search's folder, to which checkpoints are relative.
        trial: its name; None: the best.

    Raises:
        NotFound: no such trial.
        NoUsableTrial: there is no checkpoint to use.
    """
    if trial is not None:
        record = _find_trial(state, trial)
        report = _best_kept_epoch(record, folder)
        if report is None:
            raise NoUsableTrial(
                f"trial {trial} ({record.state}{f', {record.reason}' if record.reason else ''}) "
                f"has no usable epoch with a checkpoint{_describe_lost_checkpoints(record)}"
            )
        return SelectedCheckpoint(record, report, folder / report.checkpoint)
    for record in state.ranked():
        report = _best_kept_epoch(record, folder)
        if report is not None:
            return SelectedCheckpoint(record, report, folder / report.checkpoint)
    states = ", ".join(sorted({record.state for record in state.trials.values()})) or "none yet"
    raise NoUsableTrial(
        f"search {folder.name!r} has no trial with a dev EER and a checkpoint "
        f"({len(state.trials)} trials: {states}); `spksearch status {folder.name}` shows why"
    )


def _find_trial(state: SearchState, trial: str) -> TrialRecord:
    if trial in state.trials:
        return state.trials[trial]
    near = difflib.get_close_matches(trial, state.trials, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`spksearch trials` lists them"
    raise NotFound(f"no trial {trial!r} among {len(state.trials)}; {hint}")


def _describe_lost_checkpoints(record: TrialRecord) -> str:
    """Say what happened to a trial's checkpoints, and how to keep them the next time."""
    reports = record.reports.values()
    removed = sum(report.checkpoint in record.removed for report in reports)
    damaged = sum(report.checkpoint in record.damaged for report in reports)
    parts = [f"{damaged} were damaged"] if damaged else []
    if removed:
        parts.append(
            f"{removed} were removed to save space: of ended trials those of the best are kept, "
            "as many as --keep-checkpoints says; `spksearch trials NAME` shows which they are"
        )
    return f"; {'; '.join(parts)}" if parts else "; it never got to one"


def better_epoch_removed(selected: SelectedCheckpoint) -> Report | None:
    """Return the epoch of the same trial that was better but has no checkpoint any more, if any."""
    best = selected.trial.best()
    return best if best is not None and best.epoch != selected.report.epoch else None


def _best_kept_epoch(record: TrialRecord, folder: Path) -> Report | None:
    """Return the epoch with the lowest dev EER among those whose checkpoint is there."""
    kept = [
        report
        for report in record.reports.values()
        if report.objective < float("inf")
        and record.has_checkpoint(report)
        and (folder / report.checkpoint).is_dir()
    ]
    return min(kept, key=lambda report: (report.objective, report.epoch), default=None)
