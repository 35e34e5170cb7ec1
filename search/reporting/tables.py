"""Format a search in a few lines: one line for a log, a table for a terminal."""

import re

from rich.table import Table
from rich.text import Text

from search.checkpoints.storage_health import size
from search.reporting.formatting import (
    format_axes,
    format_duration,
    format_interval,
    format_percent,
    format_sparkline,
)
from search.reporting.snapshot import ENDED, BestEpoch, RunningTrial, Snapshot


def format_best(best: BestEpoch) -> str:
    """Return the best epoch so far, on one line."""
    span = format_interval(best.low, best.high, best.speakers)
    span = f" ({span})" if span else ""
    return f"{best.trial}: dev EER {format_percent(best.dev_eer)}{span} at epoch {best.epoch}"


def format_counts(snapshot: Snapshot) -> str:
    """Return how many trials there are, and in which states."""
    budget = f" of {snapshot.budget_trials}" if snapshot.budget_trials else ""
    kinds = ("running", "interrupted", "paused", *ENDED)
    parts = [f"{snapshot.counts[kind]} {kind}" for kind in kinds if snapshot.counts.get(kind)]
    parts += [f"{snapshot.waiting} waiting"] if snapshot.waiting else []
    crashed = f", crashed attempts: {snapshot.crashes}" if snapshot.crashes else ""
    kinds_text = f" ({', '.join(parts)})" if parts else ""
    return f"{snapshot.started_trials}{budget} trials{kinds_text}{crashed}"


def format_pace(snapshot: Snapshot) -> str:
    """Return speed and time left, as far as known."""
    parts = [f"{snapshot.epochs} epochs"]
    if snapshot.epochs_per_minute is not None:
        parts.append(f"{snapshot.epochs_per_minute:.3g} epochs/min")
    if snapshot.eta_seconds is not None:
        parts.append(f"about {format_duration(snapshot.eta_seconds)} left")
    return ", ".join(parts)


def format_holds(snapshot: Snapshot) -> str:
    """Return why nothing new is started; empty if it is."""
    return f"on hold: {'; '.join(snapshot.holds.values())}" if snapshot.holds else ""


def format_disk_use(snapshot: Snapshot) -> str:
    """Return the disk space that checkpoints use, and their limit."""
    limit = snapshot.checkpoint_limit_bytes
    return size(snapshot.checkpoint_bytes) + ("" if limit is None else f" of {size(limit)}")


def format_snapshot_line(snapshot: Snapshot) -> str:
    """Return a search on one line, for logs."""
    held = f"; {format_holds(snapshot)}" if snapshot.holds else ""
    best = f"; best {format_best(snapshot.best)}" if snapshot.best else ""
    return (
        f"{snapshot.name} {snapshot.state} {format_duration(snapshot.elapsed_seconds)}: "
        f"{format_counts(snapshot)}, {format_pace(snapshot)}{held}{best}"
    )


def describe_changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Return a line for everything worth reporting that changed since `before`."""
    lines = []
    if after.best and (before.best is None or after.best.dev_eer < before.best.dev_eer):
        lines.append(f"new best {format_best(after.best)}  {format_axes(after.best.axes)}")
    lines += [
        f"trial {trial} failed: {reason}"
        for trial, reason in after.failures
        if (trial, reason) not in before.failures
    ]
    if after.warning and after.warning != before.warning:
        lines.append(f"warning: {after.warning}")
    if after.crashes > before.crashes:
        lines.append(f"an attempt crashed ({after.crashes} so far) and is tried again")
    lines += [
        f"on hold: {after.holds[cause]}" for cause in after.holds if cause not in before.holds
    ]
    if before.holds and not after.holds and after.state == before.state:
        lines.append("no longer on hold")
    if _remove_numbers(after.tracker) != _remove_numbers(before.tracker):
        lines.append(f"MLflow: {after.tracker}")
    if after.address and after.address != before.address:
        lines.append(f"browse: {after.address}")
    if after.state != before.state:
        lines.append(f"{after.name} {after.state}{': ' + after.reason if after.reason else ''}")
    return lines


def _remove_numbers(text: str) -> str:
    """Return text without its numbers: "3 events behind" is no news after "2 events behind"."""
    return re.sub(r"\d+", "", text)


def snapshot_table(snapshot: Snapshot) -> Table:
    """Return a table of a search in a few lines, for a terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    headline = ", ".join(
        part for part in (snapshot.state, snapshot.reason, format_holds(snapshot)) if part
    )
    table.add_row(
        snapshot.name,
        f"{headline}  {format_duration(snapshot.elapsed_seconds)}  {format_pace(snapshot)}",
    )
    table.add_row("trials", format_counts(snapshot))
    table.add_row("rungs", "  ".join(f"epoch {rung}: {count}" for rung, count in snapshot.rungs))
    if snapshot.best:
        table.add_row("best", Text(format_best(snapshot.best), style="green"))
        table.add_row("", format_axes(snapshot.best.axes))
    if snapshot.warning:
        table.add_row("warning", Text(snapshot.warning, style="yellow"))
    if snapshot.checkpoint_bytes:
        table.add_row("checkpoints", format_disk_use(snapshot))
    for label, text in _labelled_rows(snapshot):
        table.add_row(label, text)
    return table


def _labelled_rows(snapshot: Snapshot) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [
        ("running" if i == 0 else "", _format_running(r)) for i, r in enumerate(snapshot.running)
    ]
    rows += [("failed", f"{trial}: {reason}") for trial, reason in snapshot.failures[-3:]]
    if snapshot.tracker:
        rows.append(("MLflow", snapshot.tracker))
    if snapshot.address:
        # A link, so that an address folded by a narrow terminal opens all the same.
        rows.append(("browse", Text(snapshot.address, style=f"link {snapshot.address}")))
    rows += [("next" if i == 0 else "", text) for i, text in enumerate(snapshot.commands)]
    return rows


def _format_running(running: RunningTrial) -> str:
    goal = f" of {running.target}" if running.target else ""
    eer = "" if running.dev_eer is None else f"  dev EER {format_percent(running.dev_eer)}"
    curve = f"  {format_sparkline(running.curve, 20)}" if len(running.curve) > 1 else ""
    return f"{running.trial}  epoch {running.epoch}{goal}{eer}{curve}"
