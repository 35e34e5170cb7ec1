"""A search in a few lines for people. Rates become percent here, and only here."""

import re
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from search.checkpoints.storage_health import size
from search.reporting.snapshot import ENDED, Best, Running, Snapshot


def percent(rate: float | None) -> str:
    """A rate for people: 0.031 is 3.10 %."""
    return "-" if rate is None else f"{rate * 100:.2f} %"


def interval(low: float | None, high: float | None) -> str:
    """An interval of a rate for people."""
    return "" if low is None or high is None else f"{low * 100:.1f}-{high * 100:.1f}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, to two places of the clock."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} days"


def value(axis: Any) -> str:
    """An axis' value, short."""
    return f"{axis:.3g}" if isinstance(axis, float) else str(axis)


def axes_text(axes: Mapping[str, Any]) -> str:
    """Axes and values on one line."""
    return " ".join(f"{name}={value(axis)}" for name, axis in axes.items())


def best_text(best: Best) -> str:
    """The best so far, on one line."""
    span = interval(best.low, best.high)
    span = f" ({span})" if span else ""
    return f"{best.trial}: dev EER {percent(best.dev_eer)}{span} at epoch {best.epoch}"


def counts_text(now: Snapshot) -> str:
    """How many trials, and how they fare."""
    of = f" of {now.budget_trials}" if now.budget_trials else ""
    kinds = ("running", "interrupted", "paused", *ENDED)
    parts = [f"{now.counts[kind]} {kind}" for kind in kinds if now.counts.get(kind)]
    parts += [f"{now.waiting} waiting"] if now.waiting else []
    crashed = f", crashed attempts: {now.crashes}" if now.crashes else ""
    kinds_text = f" ({', '.join(parts)})" if parts else ""
    return f"{now.started_trials}{of} trials{kinds_text}{crashed}"


def pace_text(now: Snapshot) -> str:
    """Speed and what is left, as far as known."""
    speed = "" if now.epochs_per_minute is None else f"{now.epochs_per_minute:.3g} epochs/min"
    left = "" if now.eta_seconds is None else f"about {duration(now.eta_seconds)} left"
    return ", ".join(part for part in (f"{now.epochs} epochs", speed, left) if part)


def holds_text(now: Snapshot) -> str:
    """Why nothing new is started; empty if it is."""
    return f"on hold: {'; '.join(now.holds.values())}" if now.holds else ""


def disk_text(now: Snapshot) -> str:
    """What checkpoints use, and may."""
    of = now.checkpoint_limit_bytes
    return size(now.checkpoint_bytes) + ("" if of is None else f" of {size(of)}")


def snapshot_line(now: Snapshot) -> str:
    """A search on one line, for logs."""
    held = f"; {holds_text(now)}" if now.holds else ""
    best = f"; best {best_text(now.best)}" if now.best else ""
    return (
        f"{now.name} {now.state} {duration(now.elapsed_seconds)}: {counts_text(now)}, "
        f"{pace_text(now)}{held}{best}"
    )


def news(before: Snapshot, now: Snapshot) -> list[str]:
    """What is worth a line of its own since `before`."""
    lines = []
    if now.best and (before.best is None or now.best.dev_eer < before.best.dev_eer):
        lines.append(f"new best {best_text(now.best)}  {axes_text(now.best.axes)}")
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
    if _without_numbers(now.tracker) != _without_numbers(before.tracker):
        lines.append(f"MLflow: {now.tracker}")
    if now.address and now.address != before.address:
        lines.append(f"browse: {now.address}")
    if now.state != before.state:
        lines.append(f"{now.name} {now.state}{': ' + now.reason if now.reason else ''}")
    return lines


def _without_numbers(text: str) -> str:
    """Of "3 events behind" and "2 events behind" only one is news."""
    return re.sub(r"\d+", "", text)


def snapshot_table(now: Snapshot) -> Table:
    """A search on a few lines, for a terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    headline = ", ".join(part for part in (now.state, now.reason, holds_text(now)) if part)
    table.add_row(now.name, f"{headline}  {duration(now.elapsed_seconds)}  {pace_text(now)}")
    table.add_row("trials", counts_text(now))
    table.add_row("rungs", "  ".join(f"epoch {rung}: {count}" for rung, count in now.rungs))
    if now.best:
        table.add_row("best", Text(best_text(now.best), style="green"))
        table.add_row("", axes_text(now.best.axes))
    if now.warning:
        table.add_row("warning", Text(now.warning, style="yellow"))
    if now.checkpoint_bytes:
        table.add_row("checkpoints", disk_text(now))
    for label, text in _labelled(now):
        table.add_row(label, text)
    return table


def _labelled(now: Snapshot) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [
        ("running" if i == 0 else "", _running_text(r)) for i, r in enumerate(now.running)
    ]
    rows += [("failed", f"{trial}: {reason}") for trial, reason in now.failures[-3:]]
    if now.tracker:
        rows.append(("MLflow", now.tracker))
    if now.address:
        # A link, so that an address folded by a narrow terminal opens all the same.
        rows.append(("browse", Text(now.address, style=f"link {now.address}")))
    rows += [("next" if i == 0 else "", text) for i, text in enumerate(now.commands)]
    return rows


def _running_text(running: Running) -> str:
    goal = f" of {running.target}" if running.target else ""
    eer = "" if running.dev_eer is None else f"  dev EER {percent(running.dev_eer)}"
    return f"{running.trial}  epoch {running.epoch}{goal}{eer}"
