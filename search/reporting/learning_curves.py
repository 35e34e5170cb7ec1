"""Draw a trial's learning curves: dev EER with its interval, and training loss, by epoch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.errors import NotFinished, UsageError
from search.ledger.settings import SearchSettings
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting.figure_style import COLOURS, FAINT, GRID, INK, create_canvas, save_png
from search.reporting.formatting import format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EER, _LOSS = COLOURS[:2]
_NAN = math.nan


@dataclass(frozen=True)
class EpochCurves:
    """The epochs of a trial as columns, in their order; nan where an epoch lacks a value."""

    epochs: tuple[int, ...]
    eer: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    """The 95 % interval of `eer`."""
    loss: tuple[float, ...]
    rungs: tuple[int, ...]
    best: int | None
    """The epoch with the lowest dev EER."""


def collect_epochs(trial: TrialRecord, rungs: Sequence[int]) -> EpochCurves:
    """Return the recorded epochs of a trial as columns."""
    reports = [trial.reports[epoch] for epoch in sorted(trial.reports)]

    def column(name: str) -> tuple[float, ...]:
        return tuple(_finite_or_nan(report.metrics, name) for report in reports)

    best = trial.best()
    return EpochCurves(
        tuple(report.epoch for report in reports),
        column("dev_eer"),
        column("dev_eer_low"),
        column("dev_eer_high"),
        column("train_loss"),
        tuple(rungs),
        None if best is None else best.epoch,
    )


def _finite_or_nan(metrics: Mapping[str, Any], name: str) -> float:
    value = metrics.get(name)  # an epoch that failed reports what it has
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else _NAN


def format_subtitle(search: SearchSettings, trial: TrialRecord) -> str:
    """Return the subtitle of the figure: encoder, loss, and condition of the dev pairs."""
    kinds = [trial.config.get(part, {}).get("kind", "?") for part in ("encoder", "loss")]
    return f"{', '.join(kinds)}; dev pairs {search.dev_condition}, band: 95 % interval"


def plot_trial(path: Path, name: str, state: SearchState, trial: TrialRecord) -> None:
    """Draw the learning curves of a trial, which may still run, into a PNG.

    Raises:
        UsageError: the file's name does not end in .png, or its folder is missing.
        NotFinished: the trial has no epoch yet.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot {path}: a PNG is written; name the file *.png")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: no folder {path.parent}")
    if not trial.reports:
        raise NotFinished(f"trial {trial.trial} has no epoch yet; there is nothing to draw")
    curves = collect_epochs(trial, state.rungs)
    draw_epochs(path, curves, f"{name}/{trial.trial}", format_subtitle(state.search, trial))


def draw_epochs(path: Path, curves: EpochCurves, title: str, subtitle: str) -> None:
    """Write both curves to a PNG, 1000 px wide, one above the other.

    The shaded band is the EER's 95 % interval; thin upright lines are the rungs at which trials
    were compared; the filled mark is the best epoch, whose checkpoint is promoted.
    """
    figure, (above, below) = create_canvas(title, subtitle, rows=2, height=7.6)
    _draw_eer(above, curves)
    below.plot(curves.epochs, curves.loss, color=_LOSS, **_line_style(curves))
    below.set_ylabel("training loss", color=INK, fontsize=11)
    below.set_xlabel(_epoch_label(curves), color=INK, fontsize=11.5)
    for axis in (above, below):
        _common_axis(axis, curves)
    save_png(figure, path)


def _draw_eer(axis: "Axes", curves: EpochCurves) -> None:
    def in_percent(rates: Sequence[float]) -> list[float]:
        return [100 * rate for rate in rates]

    eers, low, high = in_percent(curves.eer), in_percent(curves.low), in_percent(curves.high)
    axis.fill_between(curves.epochs, low, high, color=_EER, alpha=0.14, linewidth=0)
    if len(curves.epochs) == 1:
        axis.vlines(curves.epochs, low, high, color=_EER, alpha=0.3, linewidth=6)
    axis.plot(curves.epochs, eers, color=_EER, **_line_style(curves))
    axis.set_ylabel("dev EER in %", color=INK, fontsize=11)
    axis.set_ylim(bottom=0)
    if curves.best is None:
        return
    index = curves.epochs.index(curves.best)
    axis.plot([curves.best], [eers[index]], "o", color=_EER, markersize=9.5,
              markeredgecolor="white", zorder=6)  # fmt: skip
    axis.set_title(
        f"best: {format_percent(curves.eer[index])} at epoch {curves.best}"
        + ("" if math.isnan(low[index]) else f"  ({low[index]:.2f} to {high[index]:.2f} %)"),
        loc="left", fontsize=12, color=_EER, fontweight="bold",
    )  # fmt: skip


def _line_style(curves: EpochCurves) -> dict[str, Any]:
    few = len(curves.epochs) <= 40
    return {"linewidth": 2.0, "marker": "o" if few else None, "markersize": 4, "zorder": 4}


def _epoch_label(curves: EpochCurves) -> str:
    reached = [rung for rung in curves.rungs if rung <= max(curves.epochs)]
    return "epoch" + (f" (rungs: {', '.join(map(str, reached))})" if reached else "")


def _common_axis(axis: "Axes", curves: EpochCurves) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last = curves.epochs[0], curves.epochs[-1]
    for rung in curves.rungs:
        if first <= rung <= last:
            axis.axvline(rung, color=FAINT, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    margin = max(0.5, 0.02 * (last - first))
    axis.set_xlim(first - margin, last + margin)
    axis.xaxis.set_major_locator(
        MaxNLocator(nbins=12, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    axis.grid(color=GRID, linewidth=0.8)
