"""Canvas and colours that all figures share.

Drawn with matplotlib's objects on the Agg canvas: no display, no global state.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0b66c3", "#d1500f", "#2b8a3e", "#7a3fb5")
INK, FAINT, GRID = "#1f2430", "#6b7280", "#e3e6eb"
RESOLUTION = 125
"""Dots an inch: 8 inches are 1000 px."""


def create_canvas(
    title: str, subtitle: str, rows: int, height: float, below: float = 0.0
) -> tuple["Figure", list["Axes"]]:
    """Return a white figure 8 inches wide with its heading, and its axes from top to bottom.

    Args:
        title: above the figure.
        subtitle: below the title.
        rows: number of axes.
        height: of the figure in inches.
        below: inches that are left free under the axes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height), dpi=RESOLUTION, facecolor="white")
    FigureCanvasAgg(figure)
    head = 0.86 if below else 1.12
    figure.subplots_adjust(
        left=0.095, right=0.975, top=1 - head / height, bottom=(0.62 + below) / height, hspace=0.26
    )
    figure.text(0.025, 1 - 0.34 / height, title, fontsize=15, fontweight="bold", color=INK)
    figure.text(0.025, 1 - 0.6 / height, subtitle, fontsize=10.5, color=FAINT)
    axes = [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for axis in axes:
        axis.set_axisbelow(True)
        axis.tick_params(colors=INK, labelsize=10.5, length=0)
        for side, spine in axis.spines.items():
            spine.set_color(FAINT)
            spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def save_png(figure: "Figure", path: Path) -> None:
    """Write a figure as a PNG."""
    figure.savefig(path, format="png")
