"""The Pareto front of dev EER and encoder size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.reporting.pareto_figure import choose_labels, style_axis
from search.reports.figures.canvas import BLUE, GREY, PAPER, Size, create_axis, mark_points
from search.reports.figures.progress import DrawnTrial

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_front(size: Size, front: Sequence[DrawnTrial], others: Sequence[DrawnTrial]) -> "Figure":
    """Draw the front as steps, smallest encoder first, and the trials that it beats."""
    figure, axis = create_axis(size, 3.3 if size.is_narrow else 3.8)
    style_axis(axis)
    axis.tick_params(labelsize=8.5, which="both")
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_fontsize(9)
    drawn = axis.scatter(_sizes(others), _eers(others), s=14, color=GREY, alpha=0.55, linewidths=0)
    mark_points(drawn, [trial.number for trial in others])
    sizes, eers = _sizes(front), _eers(front)
    axis.step(sizes, eers, where="post", color=BLUE, linewidth=1.5, zorder=3)
    points = axis.scatter(sizes, eers, s=38, color=BLUE, edgecolors=PAPER, linewidths=1, zorder=5)
    mark_points(points, [trial.number for trial in front])
    for index in choose_labels(sizes, 0.2 if size.is_narrow else 0.08):
        axis.annotate(front[index].record.trial, (sizes[index], eers[index]), xytext=(5, 5),
                      textcoords="offset points", fontsize=8, zorder=6)  # fmt: skip
    return figure


def _sizes(trials: Sequence[DrawnTrial]) -> list[float]:
    return [float(trial.record.encoder_parameters or 0) for trial in trials]


def _eers(trials: Sequence[DrawnTrial]) -> list[float]:
    reports = [trial.record.best() for trial in trials]
    return [100 * report.objective for report in reports if report is not None]
