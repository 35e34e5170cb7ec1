"""Figures of how a search went: best so far, rungs, learning curves, slots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.ledger.trial import TrialRecord
from search.reporting.figure_style import FAINT, GRID, INK
from search.reporting.formatting import format_percent
from search.reports.facts.attempts import Attempt, Timeline
from search.reports.facts.best_so_far import Result
from search.reports.figures.canvas import (
    AMBER,
    BLUE,
    FATE_COLOURS,
    GREY,
    ORANGE,
    PAPER,
    Size,
    create_axis,
    limit_percent,
    mark_points,
    mark_trial,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 240
"""Learning curves that are drawn."""


@dataclass(frozen=True)
class DrawnTrial:
    """A trial with its number on the page and its fate."""

    record: TrialRecord
    number: int
    fate: str

    @property
    def colour(self) -> str:
        """Of its fate."""
        return FATE_COLOURS[self.fate]


def draw_best_so_far(
    size: Size, improvements: Sequence[Result], epochs: int, default: Result | None
) -> "Figure":
    """Draw the best dev EER against the epochs of all trials, with the best trial's interval."""
    figure, axis = create_axis(size, 3.1 if size.is_narrow else 3.4)
    x = [each.epochs for each in improvements]
    y = [100 * each.eer for each in improvements]
    bands = [(each.low, each.high) for each in improvements]
    if all(low is not None and high is not None for low, high in bands):
        lows, highs = ([100 * float(b[i] or 0) for b in bands] for i in (0, 1))
        axis.fill_between([*x, epochs], [*lows, lows[-1]], [*highs, highs[-1]], step="post",
                          color=BLUE, alpha=0.13, linewidth=0)  # fmt: skip
    axis.step([*x, epochs], [*y, y[-1]], where="post", color=BLUE, linewidth=1.8)
    points = axis.scatter(x, y, s=16, color=BLUE, edgecolors=PAPER, linewidths=0.8, zorder=4)
    points.set_clip_on(False)
    if default is not None:
        level = 100 * default.eer
        axis.axhline(level, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)))
        axis.annotate(f"default config {format_percent(default.eer)}", (epochs, level),
                      xytext=(0, 4), textcoords="offset points", ha="right",
                      color=ORANGE)  # fmt: skip
    limit_percent(axis, [*y, *([100 * default.eer] if default else [])])
    axis.set_xlabel("epochs trained, all trials together")
    axis.set_ylabel("best dev EER in %")
    axis.set_xlim(0, max(1, epochs))
    return figure


def draw_rungs(size: Size, trials: Sequence[DrawnTrial], rungs: Sequence[int]) -> "Figure":
    """Draw the dev EER of every trial at every rung; filled: it went on to the next rung."""
    figure, axis = create_axis(size, 3.4 if size.is_narrow else 3.8)
    chance = np.random.default_rng(0)
    every: list[float] = []
    point = 13 if len(trials) > 60 else 28
    for place, rung in enumerate(rungs):
        here = [trial for trial in trials if trial.record.at(rung) <= 1]
        is_last = rung == rungs[-1]
        for went_on in (False, True):
            group = [
                t for t in here if (t.record.epoch > rung or (is_last and went_on)) == went_on
                or (is_last and went_on)
            ]  # fmt: skip
            if is_last and not went_on:
                continue
            y = [100 * trial.record.at(rung) for trial in group]
            x = place + chance.uniform(-0.26, 0.26, len(group))
            every += y
            drawn = axis.scatter(x, y, s=point, color=BLUE if went_on else GREY,
                                 alpha=0.9 if went_on else 0.55, linewidths=0)  # fmt: skip
            mark_points(drawn, [trial.number for trial in group])
    axis.set_xticks(range(len(rungs)), [_rung_label(trials, rung, size) for rung in rungs])
    axis.set_xlim(-0.5, len(rungs) - 0.5)
    axis.set_ylabel("dev EER at the rung in %")
    limit_percent(axis, every)
    return figure


def _rung_label(trials: Sequence[DrawnTrial], rung: int, size: Size) -> str:
    count = sum(rung in trial.record.reports for trial in trials)
    word = "" if size.is_narrow else " trial" if count == 1 else " trials"
    return f"epoch {rung}\n{count}{word}"


def draw_curves(
    size: Size, trials: Sequence[DrawnTrial], rungs: Sequence[int], best: str
) -> "Figure":
    """Draw the dev EER of trials by epoch, coloured by fate, the best trial's thick."""
    figure, axis = create_axis(size, 3.4 if size.is_narrow else 4.0)
    every: list[float] = []
    for trial in sorted(trials, key=lambda each: each.record.trial == best):
        epochs = sorted(e for e in trial.record.reports if trial.record.at(e) <= 1)
        y = [100 * trial.record.at(epoch) for epoch in epochs]
        every += y
        is_best = trial.record.trial == best
        is_grey = trial.fate == "stopped"
        (line,) = axis.plot(epochs, y, color=trial.colour, linewidth=2.6 if is_best else 1.0,
                            alpha=1.0 if is_best else 0.4 if is_grey else 0.75,
                            zorder=5 if is_best else 2 if is_grey else 3,
                            marker="o" if len(epochs) == 1 else None, markersize=2.5)  # fmt: skip
        mark_trial(line, trial.number)
    _show_rungs(axis, rungs)
    axis.set_xlabel("epoch")
    axis.set_ylabel("dev EER in %")
    limit_percent(axis, every)
    last = max((trial.record.epoch for trial in trials), default=1)
    axis.set_xlim(0.7, max(last * 1.02, 1.3))
    return figure


def _show_rungs(axis: "Axes", rungs: Sequence[int]) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    for rung in rungs:
        axis.axvline(rung, color=GRID, linewidth=0.9, zorder=1)
    axis.set_xscale("log")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(list(rungs), [str(rung) for rung in rungs])


def draw_timeline(size: Size, timeline: Timeline, numbers: Mapping[str, DrawnTrial]) -> "Figure":
    """Draw each attempt as a bar on its slot; a cross marks one that was cut short."""
    rows = min(timeline.slots, 40)
    figure, axis = create_axis(size, 0.9 + (0.2 if rows > 12 else 0.3) * rows)
    unit, name = _time_unit(timeline.seconds)
    for began, ended in timeline.holds:
        axis.axvspan(began / unit, ended / unit, color=GRID, linewidth=0, zorder=0)
    for attempt in timeline.attempts:
        if attempt.slot < rows:
            _draw_attempt(axis, attempt, unit, numbers)
    for driver in timeline.drivers:
        axis.axvline(driver / unit, color=INK, linewidth=1.0, linestyle=(0, (2, 2)), zorder=5)
    axis.set_yticks(range(rows), [str(slot + 1) for slot in range(rows)])
    axis.set_ylim(rows - 0.4, -0.6)
    axis.set_xlim(0, max(timeline.seconds / unit, 1e-9))
    axis.set_ylabel("slot")
    axis.set_xlabel(f"{name} of work")
    axis.grid(False)
    return figure


def _draw_attempt(
    axis: "Axes", attempt: Attempt, unit: float, numbers: Mapping[str, DrawnTrial]
) -> None:
    from matplotlib.patches import Rectangle

    trial = numbers[attempt.trial]
    corner = (attempt.began / unit, attempt.slot - 0.37)
    bar = Rectangle(corner, (attempt.ended - attempt.began) / unit, 0.74, facecolor=trial.colour,
                    alpha=0.5 if trial.fate == "stopped" else 0.85, edgecolor=PAPER, linewidth=0.5,
                    zorder=2)  # fmt: skip
    axis.add_artist(bar)  # `barh` would take ten times as long for thousands of them
    mark_trial(bar, trial.number)
    if attempt.ending == "interrupted":
        colour = AMBER if attempt.kind in ("driver", "preempted", "stopped") else ORANGE
        axis.plot([attempt.ended / unit], [attempt.slot], "x", color=colour, markersize=5,
                  markeredgewidth=1.6, zorder=6)  # fmt: skip


def _time_unit(seconds: float) -> tuple[float, str]:
    for unit, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return unit, name
    return 1.0, "seconds"


def draw_seeds(size: Size, rows: Sequence[tuple[str, Sequence[float]]]) -> "Figure":
    """Draw the dev EERs of configs that were trained with several seeds, one row a config."""
    figure, axis = create_axis(size, 0.9 + 0.36 * len(rows))
    for place, (_, eers) in enumerate(rows):
        values = [100 * eer for eer in eers]
        axis.plot([min(values), max(values)], [place, place], color=FAINT, linewidth=1.0)
        axis.plot(values, [place] * len(values), "o", color=BLUE, markersize=5, alpha=0.8)
        axis.plot([sum(values) / len(values)], [place], "|", color=INK, markersize=12)
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel("dev EER in %")
    axis.grid(axis="x")
    return figure
