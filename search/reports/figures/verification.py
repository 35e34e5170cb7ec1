"""Figures of models on pairs: DET curves, score histograms, subsets, differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.reporting.det_figure import TICKS, det_points, probit
from search.reporting.figure_style import FAINT, INK
from search.reports.figures.canvas import (
    GREY,
    MODEL_COLOURS,
    PAPER,
    Size,
    create_axis,
    create_figure,
)
from search.reports.figures.parameters import shorten
from spkmodel.verification.det_band import DetBand

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPERATING_POINTS = ((0.01, "D"), (0.05, "s"))
"""Priors of a target at which the minDCF is marked, and the marks."""


@dataclass(frozen=True, eq=False)
class DetLine:
    """One model's DET curve."""

    name: str
    scores: np.ndarray
    targets: np.ndarray
    eer: float
    band: DetBand | None


def draw_det(size: Size, lines: Sequence[DetLine]) -> "Figure":
    """Draw DET curves on probit axes, with their bands, EERs and minDCF points."""
    figure, axis = create_axis(size, 3.9 if size.is_narrow else 6.6)
    points = [det_points(line.scores, line.targets) for line in lines]
    low, high = _limits(lines, points)
    for line, (miss, alarms), colour in zip(lines, points, MODEL_COLOURS, strict=False):
        if line.band is not None and len(line.band.false_alarm) > 1:
            axis.fill_between(probit(line.band.false_alarm, low), probit(line.band.low, low),
                              probit(line.band.high, low), color=colour, alpha=0.12,
                              linewidth=0)  # fmt: skip
        axis.plot(probit(alarms, low), probit(miss, low), color=colour, linewidth=1.8, zorder=4)
        _mark_points(axis, line.eer, miss, alarms, low, colour)
    ticks = TICKS[(low <= TICKS) & (high >= TICKS)]
    labels = [f"{100 * tick:g}" for tick in ticks]
    ends = tuple(probit(np.array([low, high]), low))
    axis.plot(ends, ends, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
    axis.set_xticks(probit(ticks, low), labels)
    axis.set_yticks(probit(ticks, low), labels)
    axis.set_xlim(*ends)
    axis.set_ylim(*ends)
    axis.grid(True)
    axis.set_aspect("equal")
    axis.set_xlabel("false alarms: non-target pairs accepted, in %")
    axis.set_ylabel("misses: target pairs rejected, in %")
    return figure


def _mark_points(
    axis: "Axes", eer: float, miss: np.ndarray, alarms: np.ndarray, low: float, colour: str
) -> None:
    place = probit(np.array([eer]), low)
    axis.plot(place, place, "o", color=colour, markersize=7, markeredgecolor=PAPER, zorder=6)
    for p_target, mark in OPERATING_POINTS:
        index = int(np.argmin(p_target * miss + (1 - p_target) * alarms))
        # A point without false alarms lies at minus infinity; it is shown on the frame.
        across = probit(np.array([max(low, alarms[index])]), low)
        up = probit(np.array([max(low, miss[index])]), low)
        axis.plot(across, up, mark, color=PAPER, markeredgecolor=colour, markeredgewidth=1.5,
                  markersize=6, zorder=5, clip_on=False)  # fmt: skip


def _limits(
    lines: Sequence[DetLine], points: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """Return the rates at the ends of both axes: every EER and every marked miss inside."""
    resolved = max(TICKS[0], 0.5 / max(len(line.targets) for line in lines))
    low = min(0.01, max(resolved, min(0.001, min(line.eer for line in lines) / 8)))
    marked = [
        float(miss[int(np.argmin(p * miss + (1 - p) * alarms))])
        for miss, alarms in points
        for p, _ in OPERATING_POINTS
    ]
    high = max([0.2, *(1.3 * line.eer for line in lines), *(1.05 * miss for miss in marked)])
    below, above = TICKS[low >= TICKS], TICKS[min(high, TICKS[-1]) <= TICKS]
    return float(below[-1]), float(above[0])


# --- scores -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ScorePanel:
    """One model's scores, with the thresholds to mark."""

    name: str
    scores: np.ndarray
    targets: np.ndarray
    thresholds: tuple[tuple[str, float], ...]
    """What each is, and the score; the one chosen on dev pairs first."""


def draw_histograms(size: Size, panels: Sequence[ScorePanel]) -> "Figure":
    """Draw the scores of target and non-target pairs, one panel a model."""
    figure = create_figure(size, 0.5 + 2.1 * len(panels))
    edges = np.histogram_bin_edges(np.concatenate([panel.scores for panel in panels]), bins=60)
    for place, (panel, colour) in enumerate(zip(panels, MODEL_COLOURS, strict=False)):
        axis = figure.add_subplot(len(panels), 1, place + 1)
        axis.set_facecolor("none")
        axis.grid(axis="y")
        _draw_panel(axis, panel, colour, edges)
        if len(panels) > 1:
            axis.set_title(shorten(panel.name, 30 if size.is_narrow else 80), loc="left")
    figure.axes[-1].set_xlabel("score (higher is more alike)")
    return figure


def _draw_panel(axis: "Axes", panel: ScorePanel, colour: str, edges: np.ndarray) -> None:
    for chosen, fill, name in (
        (~panel.targets, GREY, "non-target"),
        (panel.targets, colour, "target"),
    ):
        shares = np.histogram(panel.scores[chosen], edges)[0] * (100 / max(1, chosen.sum()))
        axis.stairs(shares, edges, fill=True, color=fill, alpha=0.35, linewidth=0)
        axis.stairs(shares, edges, color=fill, linewidth=1.4, label=name)
    axis.set_ylim(0, 1.42 * axis.get_ylim()[1])
    for place, (name, threshold) in enumerate(panel.thresholds):
        axis.axvline(threshold, color=INK, linewidth=1.2 if place == 0 else 0.9,
                     linestyle="-" if place == 0 else (0, (4, 2)))  # fmt: skip
        is_right = threshold > (edges[0] + edges[-1]) / 2
        axis.annotate(f"{name} {threshold:.4f}", (threshold, 1), fontsize=8, color=INK,
                      xycoords=("data", "axes fraction"), textcoords="offset points",
                      xytext=(-5 if is_right else 5, -10 - 11 * place),
                      ha="right" if is_right else "left")  # fmt: skip
    axis.set_ylabel("pairs in %")
    axis.legend(loc="center left", bbox_to_anchor=(0.0, 0.6))
    axis.margins(x=0.01)


# --- intervals --------------------------------------------------------------------------------


@dataclass(frozen=True)
class IntervalRow:
    """A figure with its interval, as a row; percent or percentage points."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    colour: int = 0
    """Place among the models."""


def draw_intervals(size: Size, rows: Sequence[IntervalRow], label: str, *, zero: bool) -> "Figure":
    """Draw figures with their intervals, one row each; `zero` marks where two are equal."""
    figure, axis = create_axis(size, 0.8 + 0.28 * len(rows))
    for place, row in enumerate(rows):
        colour = MODEL_COLOURS[row.colour % len(MODEL_COLOURS)]
        if row.value is None:
            continue
        if row.low is not None and row.high is not None:
            axis.plot([row.low, row.high], [place, place], color=colour, linewidth=2, alpha=0.55)
        axis.plot([row.value], [place], "o", color=colour, markersize=6, markeredgecolor=PAPER)
    if zero:
        axis.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    most = 26 if size.is_narrow else 48
    axis.set_yticks(range(len(rows)), [shorten(row.name, most) for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel(label)
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x")
    return figure


def draw_overlaid_curves(
    size: Size,
    curves: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    label: str,
    *,
    steps: bool,
) -> "Figure":
    """Draw dev EERs of several trials or searches over epochs, in the models' colours."""
    from matplotlib.ticker import MaxNLocator

    figure, axis = create_axis(size, 3.2 if size.is_narrow else 3.6)
    for (name, x, y), colour in zip(curves, MODEL_COLOURS, strict=False):
        axis.plot(x, [100 * value for value in y], color=colour, linewidth=1.8,
                  drawstyle="steps-post" if steps else "default",
                  marker="o" if len(x) < 30 and not steps else None, markersize=3,
                  label=shorten(name, 30))  # fmt: skip
    axis.set_xlabel(label)
    axis.set_ylabel("dev EER in %")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.legend(loc="best")
    return figure
