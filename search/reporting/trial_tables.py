"""Format trials for people: as a table, as a Pareto front, and one trial as a page."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.table import Table

from search.checkpoints.retention import best_kept
from search.core.config_differences import find_differences, flatten
from search.core.errors import UsageError
from search.ledger.kinds import SIZE
from search.ledger.report import Report
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting.formatting import (
    format_axes,
    format_duration,
    format_interval,
    format_percent,
    format_value,
)
from search.reporting.snapshot import (
    displayed_state,
    find_best,
    read_dev_eer,
    read_dev_speakers,
)
from search.reporting.tables import format_best
from search.scheduler import pareto
from spkmodel.core.foreign_file import shorten
from spkmodel.core.shell import quote_path

COLUMNS = ("trial", "state", "rung", "epochs", "dev_eer", SIZE)
_AXIS_WIDTH = 32
_CURVE_ROWS = 24
_CURVE_WIDTH = 40


def sort_trials(state: SearchState, column: str) -> list[TrialRecord]:
    """Return the trials sorted by a column or an axis, lowest first; missing values last.

    Raises:
        UsageError: there is no such column; the message names the nearest.
    """
    columns = (*COLUMNS, *list_axes(state))
    if column not in columns:
        near = get_close_matches(column, columns, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(columns)}"
        raise UsageError(f"--sort: no column {column!r}; {hint}")
    return sorted(state.trials.values(), key=lambda trial: (*_sort_key(trial, column), trial.trial))


def _sort_key(trial: TrialRecord, column: str) -> tuple[bool, str, float, str]:
    """Return a key that sorts numbers first, then words, then missing values."""
    entry = _column_value(trial, column)
    if isinstance(entry, int | float):
        return False, "", float(entry), ""
    return entry is None, "word", 0.0, str(entry)


def _column_value(trial: TrialRecord, column: str) -> Any:
    match column:
        case "trial" | "state" | "rung":
            return getattr(trial, column)
        case "epochs":
            return trial.epoch
        case "encoder_parameters":
            return trial.encoder_parameters
        case "dev_eer":
            best = trial.best()
            return None if best is None else best.objective
        case axis:
            return trial.axes.get(axis)


def list_axes(state: SearchState) -> list[str]:
    """Return every axis that a trial has, in the order of first appearance."""
    return list(dict.fromkeys(axis for trial in state.trials.values() for axis in trial.axes))


def trial_table(state: SearchState, trials: Sequence[TrialRecord], status: str) -> Table:
    """Return a table with a row for each trial and a column for each axis."""
    axes = list_axes(state)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("trial", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rung", "epochs", "dev EER", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for axis in axes:
        table.add_column(shorten(axis, _AXIS_WIDTH), overflow="fold")
    for trial in trials:
        best = trial.best()
        table.add_row(
            trial.trial,
            displayed_state(trial, status),
            str(trial.rung or "-"),
            str(trial.epoch),
            format_percent(best.objective if best else None),
            _format_eer_interval(best),
            *(format_value(trial.axes.get(axis, "")) for axis in axes),
        )
    return table


def find_front(state: SearchState) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return the trials that no other beats in both dev EER and size, and the other trials.

    The front is sorted by size, smallest first.

    A trial counts if it has a result and the size of its encoder is known; its EER is that of its
    best epoch.
    """
    points = {
        trial.trial: (best.objective, float(trial.encoder_parameters))
        for trial in state.trials.values()
        if (best := trial.best()) is not None and trial.encoder_parameters is not None
    }
    names = pareto.find_front(points)[::-1]
    others = [state.trials[name] for name in points if name not in set(names)]
    return [state.trials[name] for name in names], others


def front_table(state: SearchState) -> Table:
    """Return a table of the Pareto front, smallest encoder first."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("trial", no_wrap=True)
    for heading in ("weights", "dev EER", "95 %", "epochs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("axes", overflow="fold")
    front, _ = find_front(state)
    for trial in front:
        best = trial.best()
        table.add_row(
            trial.trial,
            f"{trial.encoder_parameters:,}",
            format_percent(best.objective if best else None),
            _format_eer_interval(best),
            str(trial.epoch),
            format_axes(trial.axes),
        )
    return table


def _format_eer_interval(report: Report | None) -> str:
    if report is None:
        return ""
    _, low, high = read_dev_eer(report)
    return format_interval(low, high, read_dev_speakers(report))


# --- one trial -------------------------------------------------------------------------------


def trial_page(
    state: SearchState, trial: TrialRecord, status: str, folder: Path, default: Mapping[str, Any]
) -> list[Table | str]:
    """Return a page of one trial: config, differences, learning curve, checkpoint, commands."""
    name = state.search.search
    parts: list[Table | str] = [_head(name, trial, status), "", "config"]
    parts += [f"  {line}" for line in format_config(trial.config)]
    parts += ["", *_difference_lines(state, trial, default)]
    parts += ["", *format_curve(trial)] if trial.reports else []
    parts += ["", *_checkpoint_lines(trial, folder)]
    parts += ["", f"next    spksearch promote {name} --trial {trial.trial}"]
    corpus = quote_path(state.search.corpus)
    parts += [f"        spksearch evaluate {name}/{trial.trial} --corpus {corpus}"]
    parts[-1] = f"{parts[-1]} --pairs valid_trials.txt"
    return parts


def _head(name: str, trial: TrialRecord, status: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    why = f": {trial.reason}" if trial.reason else ""
    table.add_row("trial", f"{name}/{trial.trial}")
    table.add_row("state", f"{displayed_state(trial, status)}{why}")
    table.add_row("rung", f"{trial.rung or 'none'}; epochs trained: {trial.epoch}")
    best = trial.best()
    if best is not None:
        span = _format_eer_interval(best)
        span = f" ({span})" if span else ""
        table.add_row(
            "best", f"dev EER {format_percent(best.objective)}{span} at epoch {best.epoch}"
        )
    if trial.encoder_parameters is not None:
        table.add_row("encoder", f"{trial.encoder_parameters:,} weights")
    table.add_row("axes", format_axes(trial.axes))
    table.add_row("origin", f"{trial.origin}, signature {trial.signature}")
    return table


def format_config(config: Mapping[str, Any]) -> list[str]:
    """Return a config as lines, one part a line."""
    lines = []
    for part, entry in config.items():
        if isinstance(entry, Mapping):
            text = " ".join(
                f"{key}={_format_entry(inner)}" for key, inner in flatten(entry).items()
            )
            lines.append(f"{part}: {text}")
        else:
            lines.append(f"{part}: {_format_entry(entry)}")
    return lines


def _format_entry(entry: Any) -> str:
    return (
        ",".join(map(format_value, entry))
        if isinstance(entry, list | tuple)
        else format_value(entry)
    )


def _difference_lines(
    state: SearchState, trial: TrialRecord, default: Mapping[str, Any]
) -> list[Table | str]:
    best = find_best(state)
    other, title = default, "the default config"
    if best is not None and best.trial != trial.trial:
        other, title = state.trials[best.trial].config, f"the best, {format_best(best)}"
    found = find_differences(trial.config, other)
    if not found:
        return [f"no difference from {title}"]
    table = Table.grid(padding=(0, 2))
    for key, value, other_value in found:
        table.add_row(f"  {key}", _or_absent(value), f"not {_or_absent(other_value)}")
    return [f"different from {title}", table]


def _or_absent(entry: Any) -> str:
    return "-" if entry is None else _format_entry(entry)


def format_curve(trial: TrialRecord) -> list[str]:
    """Return the dev EER by epoch as lines with bars.

    A long training is thinned out evenly; its best and its last epoch always stay.
    """
    best = trial.best()
    epochs = sorted(trial.reports)
    step = -(-len(epochs) // _CURVE_ROWS)
    shown = [
        epoch
        for index, epoch in enumerate(epochs)
        if index % step == 0 or epoch == epochs[-1] or (best and epoch == best.epoch)
    ]
    worst = max((trial.at(epoch) for epoch in epochs if trial.at(epoch) <= 1), default=1.0) or 1.0
    lines = ["epoch  dev EER  train loss  seconds"]
    for epoch in shown:
        report = trial.reports[epoch]
        usable = report.objective <= 1
        bar = "#" * round(report.objective / worst * _CURVE_WIDTH) if usable else ""
        mark = " best" if best and epoch == best.epoch else ""
        lines.append(
            f"{epoch:5d}  {format_percent(report.objective if usable else None):>7}  "
            f"{report.metrics.get('train_loss', float('nan')):10.4f}  {report.seconds:7.1f}  "
            f"{bar}{mark}"
        )
    return lines


def _checkpoint_lines(trial: TrialRecord, folder: Path) -> list[str]:
    best, kept = trial.best(), best_kept(trial)
    if best is None:
        return ["no checkpoint"]
    if kept is None:
        return ["no checkpoint is kept (--keep-checkpoints, --disk-gb)"]
    lines = [f"checkpoint  {folder / kept.checkpoint}", f"sha256      {kept.sha256}"]
    if kept.epoch != best.epoch:
        lines.append(f"of epoch {kept.epoch}: that of the best, epoch {best.epoch}, is gone")
    return lines


# --- all searches ----------------------------------------------------------------------------


def search_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of searches from the rows of `spksearch list --json`."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("search", "space", "state", "trials", "best dev EER", "trial", "last event"):
        right = heading in ("trials", "best dev EER")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        best = row["best"]
        table.add_row(
            row["name"],
            row["space"],
            row["state"],
            f"{row['started_trials']}/{row['budget_trials'] or '-'}",
            format_percent(best["dev_eer"] if best else None),
            best["trial"] if best else "",
            f"{format_duration(row['age_seconds'])} ago",
        )
    return table
