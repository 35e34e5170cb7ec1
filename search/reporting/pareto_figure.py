"""Draw the Pareto front of a search: dev EER against the weights of the encoder."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.ledger.trial import TrialRecord
from search.reporting.figure_style import COLOURS, FAINT, GRID, INK, RESOLUTION
from search.reporting.snapshot import read_dev_eer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _GREY = COLOURS[0], "#8a93a3"
_LABEL_WIDTH = 0.07
"""Width of a trial's name, as a share of the axis."""


def draw_front(
    path: Path, front: Sequence[TrialRecord], others: Sequence[TrialRecord], title: str
) -> None:
    """Write the front to a PNG, 1000 px wide.

    Args:
        path: of the PNG.
        front: trials that nothing dominates, by the size of their encoders, each with a result.
        others: trials that something dominates, each with a result.
        title: above it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.4), dpi=RESOLUTION, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.095, right=0.965, top=0.84, bottom=0.115)
    figure.text(0.025, 0.935, title, fontsize=15, fontweight="bold", color=INK)
    summary = f"{len(front)} of {len(front) + len(others)} trials: nothing is smaller and as good"
    figure.text(0.025, 0.885, f"{summary}; bars are 95 % intervals", fontsize=10.5, color=FAINT)
    axis = figure.add_subplot()
    style_axis(axis)
    _draw_others(axis, others)
    _draw_steps(axis, front)
    figure.savefig(path, format="png")


def _draw_others(axis: "Axes", others: Sequence[TrialRecord]) -> None:
    sizes, eers = _sizes(others), [100 * _best_eer(trial)[0] for trial in others]
    axis.plot(sizes, eers, "o", color=_GREY, alpha=0.55, markersize=5, zorder=2)


def _draw_steps(axis: "Axes", front: Sequence[TrialRecord]) -> None:
    """Draw the front as a staircase: the EER that an encoder of this size reaches at most."""
    sizes, eers = _sizes(front), [100 * _best_eer(trial)[0] for trial in front]
    axis.step(sizes, eers, where="post", color=_BLUE, linewidth=1.6, zorder=3)
    axis.plot(
        sizes,
        eers,
        "o",
        color=_BLUE,
        markersize=8,
        markeredgecolor="white",
        zorder=5,
        clip_on=False,
    )
    named = choose_labels(sizes)
    for index, trial in enumerate(front):
        eer, low, high = _best_eer(trial)
        if low is not None and high is not None:
            axis.plot(
                [sizes[index]] * 2, [100 * low, 100 * high], color=_BLUE, alpha=0.35, zorder=4
            )
        if index in named:
            axis.annotate(
                trial.trial, (sizes[index], 100 * eer), xytext=(6, 6), textcoords="offset points",
                fontsize=9.5, color=INK, zorder=6,
            )  # fmt: skip


def choose_labels(sizes: Sequence[float], width: float = _LABEL_WIDTH) -> set[int]:
    """Return the indices of points whose names do not overlap, the largest encoder's among them.

    Args:
        sizes: of the encoders, smallest first.
        width: of a name, as a share of the axis.
    """
    named: list[int] = []
    span = math.log(sizes[-1] / sizes[0]) or 1.0
    for index in reversed(range(len(sizes))):
        if not named or math.log(sizes[named[-1]] / sizes[index]) >= width * span:
            named.append(index)
    return set(named)


def style_axis(axis: "Axes") -> None:
    """Give an axis the scale and the labels of a front: weights against dev EER."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_axisbelow(True)
    axis.grid(color=GRID, linewidth=0.8)
    axis.margins(x=0.06, y=0.08)
    axis.tick_params(colors=INK, labelsize=10.5, length=0, which="both")
    for side, spine in axis.spines.items():
        spine.set_color(FAINT)
        spine.set_visible(side in ("left", "bottom"))
    axis.set_xlabel("weights of the encoder", color=INK, fontsize=11.5)
    axis.set_ylabel("dev EER in %", color=INK, fontsize=11.5)


def _sizes(trials: Sequence[TrialRecord]) -> list[float]:
    return [float(trial.encoder_parameters or 0) for trial in trials]


def _best_eer(trial: TrialRecord) -> tuple[float, float | None, float | None]:
    best = trial.best()
    assert best is not None
    return read_dev_eer(best)
