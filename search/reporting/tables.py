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
)
from search.reporting.snapshot import ENDED, BestEpoch, RunningTrial, Snapshot


def format_best(best: BestEpoch) -> str:
    """Return the best epoch so far, on one line."""
    span = format_interval(best.low, best.high)
    span = f" ({span})" if span else ""
    return f"{best.trial}: dev EER {format_percent(best.dev_eer)}{span} at epoch {best.epoch}"


def format_counts(now: Snapshot) -> str:
    """Return how many trials there are, and in which states."""
    of = f" of {now.budget_trials}" if now.budget_trials else ""
    kinds = ("running", "interrupted", "paused", *ENDED)
    parts = [f"{now.counts[kind]} {kind}" for kind in kinds if now.counts.get(kind)]
    parts += [f"{now.waiting} waiting"] if now.waiting else []
    crashed = f", crashed attempts: {now.crashes}" if now.crashes else ""
    kinds_text = f" ({', '.join(parts)})" if parts else ""
    return f"{now.started_trials}{of} trials{kinds_text}{crashed}"


def format_pace(now: Snapshot) -> str:
    """Return speed and time left, as far as known."""
    speed = "" if now.epochs_per_minute is None else f"{now.epochs_per_minute:.3g} epochs/min"
    left = "" if now.eta_seconds is None else f"about {format_duration(now.eta_seconds)} left"
    return ", ".join(part for part in (f"{now.epochs} epochs", speed, left) if part)


def format_holds(now: Snapshot) -> str:
    """Return why nothing new is started; empty if it is."""
    return f"on hold: {'; '.join(now.holds.values())}" if now.holds else ""


def format_disk_use(now: Snapshot) -> str:
    """Return the disk space that checkpoints use, and their limit."""
    of = now.checkpoint_limit_bytes
    return size(now.checkpoint_bytes) + ("" if of is None else f" of {size(of)}")


def format_snapshot_line(now: Snapshot) -> str:
    """Return a search on one line, for logs."""
    held = f"; {format_holds(now)}" if now.holds else ""
    best = f"; best {format_best(now.best)}" if now.best else ""
    return (
        f"{now.name} {now.state} {format_duration(now.elapsed_seconds)}: {format_counts(now)}, "
        f"{format_pace(now)}{held}{best}"
    )


def describe_changes(before: Snapshot, now: Snapshot) -> list[str]:
    """Return a line for everything worth reporting that changed since `before`."""
    lines = []
    if now.best and (before.best is None or now.best.dev_eer < before.best.dev_eer):
        lines.append(f"new best {format_best(now.best)}  {format_axes(now.best.axes)}")
    lines += [
        f"trial {trial} failed: {reason}"
        for trial, reason in now.failures
        if (trial, reason) not in before.failures
    ]
    if now.warning and now.warning != before.warning:
        lines.append(f"warning: {now.warning}")
    if now.crashes > before.crashes:
        lines.append(f"an attempt crashed ({now.crashes} so far) and is tried again")
    lines += [f"on hold: {now.holds[cause]}" for cause in now.holds if cause not in before.holds]
    if before.holds and not now.holds and now.state == before.state:
        lines.append("no longer on hold")
    if _remove_numbers(now.tracker) != _remove_numbers(before.tracker):
        lines.append(f"MLflow: {now.tracker}")
    if now.address and now.address != before.address:
        lines.append(f"browse: {now.address}")
    if now.state != before.state:
        lines.append(f"{now.name} {now.state}{': ' + now.reason if now.reason else ''}")
    return lines


def _remove_numbers(text: str) -> str:
    """Return text without its numbers: "3 events behind" is no news after "2 events behind"."""
    return re.sub(r"\d+", "", text)


def snapshot_table(now: Snapshot) -> Table:
    """Return a table of a search in a few lines, for a terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    headline = ", ".join(part for part in (now.state, now.reason, format_holds(now)) if part)
    table.add_row(
        now.name, f"{headline}  {format_duration(now.elapsed_seconds)}  {format_pace(now)}"
    )
    table.add_row("trials", format_counts(now))
    table.add_row("rungs", "  ".join(f"epoch {rung}: {count}" for rung, count in now.rungs))
    if now.best:
        table.add_row("best", Text(format_best(now.best), style="green"))
        table.add_row("", format_axes(now.best.axes))
    if now.warning:
        table.add_row("warning", Text(now.warning, style="yellow"))
    if now.checkpoint_bytes:
        table.add_row("checkpoints", format_disk_use(now))
    for label, text in _labelled_rows(now):
        table.add_row(label, text)
    return table


def _labelled_rows(now: Snapshot) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [
        ("running" if i == 0 else "", _format_running(r)) for i, r in enumerate(now.running)
    ]
    rows += [("failed", f"{trial}: {reason}") for trial, reason in now.failures[-3:]]
    if now.tracker:
        rows.append(("MLflow", now.tracker))
    if now.address:
        # A link, so that an address folded by a narrow terminal opens all the same.
        rows.append(("browse", Text(now.address, style=f"link {now.address}")))
    rows += [("next" if i == 0 else "", text) for i, text in enumerate(now.commands)]
    return rows


def _format_running(running: RunningTrial) -> str:
    goal = f" of {running.target}" if running.target else ""
    eer = "" if running.dev_eer is None else f"  dev EER {format_percent(running.dev_eer)}"
    return f"{running.trial}  epoch {running.epoch}{goal}{eer}"
