"""Figures of parameters: importance, slices, parallel coordinates."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search.reporting.figure_style import FAINT, INK
from search.reports.facts.importance import Importance
from search.reports.figures.canvas import (
    BLUE,
    GREY,
    PAPER,
    Size,
    create_axis,
    create_figure,
    limit_percent,
    mark_points,
    mark_trial,
)
from search.reports.figures.progress import DrawnTrial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SLICES = 12
MOST_AXES = 12
"""Parameters that are drawn, the most important first."""
_LONGEST = 18
"""Letters of a name or choice on an axis."""


@dataclass(frozen=True)
class DrawnParameter:
    """A parameter with its range, as an axis shows it."""

    name: str
    low: float
    high: float
    log: bool
    choices: tuple[Any, ...]

    @classmethod
    def from_distribution(cls, name: str, text: str) -> "DrawnParameter":
        """Return the parameter that a trial's recorded distribution describes."""
        found = json.loads(text)
        extent = found["attributes"]
        if found["name"] == "CategoricalDistribution":
            choices = tuple(extent["choices"])
            return cls(name, -0.5, len(choices) - 0.5, False, choices)
        return cls(name, float(extent["low"]), float(extent["high"]), bool(extent.get("log")), ())

    def number(self, value: Any) -> float:
        """Return a value as a number on the axis; nan for one that is not on it."""
        if not self.choices:
            return float(value)
        return float(self.choices.index(value)) if value in self.choices else math.nan

    def place(self, value: Any) -> float:
        """Return where a value lies in the range, in [0, 1]."""
        low, high, number = self.low, self.high, self.number(value)
        if self.log and low > 0 and number > 0:
            low, high, number = math.log(low), math.log(high), math.log(number)
        return (number - low) / (high - low) if high > low else 0.5


def collect_parameters(trials: Sequence[DrawnTrial], order: Sequence[str]) -> list[DrawnParameter]:
    """Return the parameters of all trials: those of `order` first, each with its newest range."""
    newest: dict[str, str] = {}
    for trial in trials:
        newest.update(trial.record.distributions)
    names = [*(name for name in order if name in newest), *(n for n in newest if n not in order)]
    return [DrawnParameter.from_distribution(name, newest[name]) for name in names]


def draw_importance(size: Size, rows: Sequence[Importance], trials: int) -> "Figure":
    """Draw each parameter's share with its interval, the most important first."""
    figure, axis = create_axis(size, 0.8 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        axis.barh(place, 100 * row.share, height=0.62, color=BLUE, alpha=0.75, linewidth=0)
        axis.plot([100 * row.low, 100 * row.high], [place, place], color=INK, linewidth=1.2)
    names = [
        shorten(row.parameter) + ("" if row.trials == trials else f" ({row.trials} trials)")
        for row in rows
    ]
    axis.set_yticks(range(len(rows)), names)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(0, min(100, 5 + 100 * max(row.high for row in rows)))
    axis.set_xlabel("share of the importance in %")
    axis.grid(axis="x")
    axis.grid(axis="y", visible=False)
    return figure


def draw_slices(
    size: Size, trials: Sequence[DrawnTrial], parameters: Sequence[DrawnParameter]
) -> "Figure":
    """Draw the best dev EER of every trial against each parameter, one panel a parameter."""
    columns = 2 if size.is_narrow else 4
    rows = -(-len(parameters) // columns)
    figure = create_figure(size, (1.9 if size.is_narrow else 2.2) * rows)
    usable = [trial for trial in trials if trial.record.best() is not None]
    every = [100 * _best(trial) for trial in usable]
    for place, parameter in enumerate(parameters):
        axis = figure.add_subplot(rows, columns, place + 1)
        axis.set_facecolor("none")
        _draw_slice(axis, usable, parameter)
        axis.set_title(shorten(parameter.name), loc="left")
        limit_percent(axis, every)
        axis.grid(axis="y")
        if place % columns:
            axis.tick_params(labelleft=False)
        else:
            axis.set_ylabel("dev EER in %")
    return figure


def _draw_slice(axis: "Axes", trials: Sequence[DrawnTrial], parameter: DrawnParameter) -> None:
    chance, point = np.random.default_rng(0), 9 if len(trials) > 60 else 18
    for is_grey in (True, False):
        group = [
            trial for trial in trials
            if (trial.fate == "stopped") == is_grey and parameter.name in trial.record.axes
            and math.isfinite(parameter.number(trial.record.axes[parameter.name]))
        ]  # fmt: skip
        x = [parameter.number(trial.record.axes[parameter.name]) for trial in group]
        if parameter.choices:
            x = [value + float(chance.uniform(-0.2, 0.2)) for value in x]
        drawn = axis.scatter(x, [100 * _best(trial) for trial in group], s=point,
                             c=[trial.colour for trial in group], linewidths=0,
                             alpha=0.5 if is_grey else 0.9)  # fmt: skip
        mark_points(drawn, [trial.number for trial in group])
    _scale(axis, parameter)


def _scale(axis: "Axes", parameter: DrawnParameter) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter

    if parameter.choices:
        shown = [shorten(str(choice), 9) for choice in parameter.choices]
        axis.set_xticks(range(len(shown)), shown, fontsize=7, rotation=0 if len(shown) < 4 else 25)
        axis.set_xlim(parameter.low, parameter.high)
        return
    if parameter.log:
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
        ends = [parameter.low, parameter.high]
        middle = 10 ** round(math.log10(math.sqrt(ends[0] * ends[1])))
        ticks = [ends[0], *([middle] if ends[0] * 1.5 < middle < ends[1] / 1.5 else []), ends[1]]
        axis.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks], fontsize=7.5)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.tick_params(axis="x", labelsize=7.5)


def draw_parallel(
    size: Size, trials: Sequence[DrawnTrial], parameters: Sequence[DrawnParameter], best: int
) -> "Figure":
    """Draw every trial as a line over its parameters and its dev EER, the best ones in colour."""
    usable = sorted((t for t in trials if t.record.best() is not None), key=_best)
    columns = [*parameters, None]
    figure, axis = create_axis(size, 0.72 * len(columns) if size.is_narrow else 3.8)
    axis.grid(False)
    eers = [_best(trial) for trial in usable]
    low, high = eers[0], max(eers[min(len(eers) - 1, int(0.95 * len(eers)))], eers[0] + 1e-6)
    for rank, trial in reversed(list(enumerate(usable))):
        places = [_position(trial, column, low, high) for column in columns]
        colour = BLUE if rank < best else GREY
        line = axis.plot(*_coordinates(places, size), color=colour,
                         linewidth=2.2 if rank == 0 else 1.0,
                         alpha=1.0 if rank == 0 else 0.75 if rank < best else 0.22,
                         zorder=4 if rank < best else 2)[0]  # fmt: skip
        mark_trial(line, trial.number)
    _label_columns(axis, parameters, size, (low, high))
    return figure


def _position(trial: DrawnTrial, column: DrawnParameter | None, low: float, high: float) -> float:
    if column is None:
        return min(1.0, (_best(trial) - low) / (high - low))
    if column.name not in trial.record.axes:
        return math.nan  # this trial was not asked for it
    place = column.place(trial.record.axes[column.name])
    # Lines of one choice are drawn a little apart, so that many look like many.
    spread = 0.3 / len(column.choices) if column.choices else 0.0
    return place + spread * (trial.number * 0.618 % 1 - 0.5)


def _coordinates(places: Sequence[float], size: Size) -> tuple[list[float], list[float]]:
    """Return a trial's points; its line passes by a parameter that it does not have."""
    points = [(float(n), place) for n, place in enumerate(places) if math.isfinite(place)]
    numbers, known = [n for n, _ in points], [place for _, place in points]
    return (known, numbers) if size.is_narrow else (numbers, known)


def _label_columns(
    axis: "Axes",
    parameters: Sequence[DrawnParameter],
    size: Size,
    eers: tuple[float, float],
) -> None:
    """Write names, ends and choices; the columns are rows on a phone."""
    axis.tick_params(left=False, bottom=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    named = [(parameter.name, _marks(parameter)) for parameter in parameters]
    named.append(("dev EER", [(0.0, f"{100 * eers[0]:.1f} %"), (1.0, f"{100 * eers[1]:.1f} %")]))
    count = len(named)
    for place, (_, marks) in enumerate(named):
        line = ([0, 1], [place, place]) if size.is_narrow else ([place, place], [0, 1])
        axis.plot(*line, color=FAINT, linewidth=0.8, zorder=3)
        for value, text in marks:
            _write_mark(axis, size, place, value, text)
    most = 26 if size.is_narrow else 15 if count < 10 else 12
    names = [shorten(name, most) for name, _ in named]
    if size.is_narrow:
        for place, name in enumerate(names):
            paper = {"facecolor": PAPER, "alpha": 0.78, "linewidth": 0, "pad": 1.0}
            axis.text(0, place - 0.24, name, fontsize=8, fontweight="bold", color=INK, bbox=paper,
                      zorder=6)  # fmt: skip
        axis.set_yticks([])
        axis.set_xticks([])
        axis.set_ylim(count - 0.3, -0.6)
    else:
        axis.set_xticks(range(count), names, fontsize=7.5, fontweight="bold")
        axis.xaxis.tick_top()
        axis.set_yticks([])
        axis.set_ylim(-0.06, 1.06)
        axis.set_xlim(-0.4, count - 0.35)


def _write_mark(axis: "Axes", size: Size, place: int, value: float, text: str) -> None:
    style: dict[str, Any] = {"fontsize": 7, "color": INK, "zorder": 6}
    style["bbox"] = {"facecolor": PAPER, "alpha": 0.78, "linewidth": 0, "pad": 0.8}
    if size.is_narrow:
        side = "left" if value < 0.06 else "right" if value > 0.94 else "center"
        axis.text(value, place + 0.32, text, ha=side, **style)
    else:
        axis.text(place + 0.05, value, text, va="center", **style)


def _marks(parameter: DrawnParameter) -> list[tuple[float, str]]:
    """Return the places in the range that an axis names: its ends, or its choices."""
    if parameter.choices:
        step = -(-len(parameter.choices) // 8)
        shown = parameter.choices[::step]
        return [(parameter.place(choice), shorten(str(choice), 12)) for choice in shown]
    return [(0.0, f"{parameter.low:.2g}"), (1.0, f"{parameter.high:.2g}")]


def _best(trial: DrawnTrial) -> float:
    report = trial.record.best()
    assert report is not None
    return report.objective


def shorten(text: str, most: int = _LONGEST) -> str:
    """Return a name for an axis: on one line, its end left out where it is long."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
