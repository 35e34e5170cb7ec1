"""Canvas, sizes and colours of the reports' figures.

A figure is drawn for a width instead of being shrunk: at a third of its size its text cannot be
read. Colours are those of `search.reporting.figure_style`; a page replaces them by its variables.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.reporting.figure_style import COLOURS, FAINT, GRID, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = COLOURS
GREY, PAPER, AMBER = "#8a93a3", "#ffffff", "#a87b00"
FATE_COLOURS = {
    "complete": BLUE,
    "running": GREEN,
    "paused": AMBER,
    "interrupted": AMBER,
    "stopped": GREY,
    "killed": PURPLE,
    "failed": ORANGE,
}
MODEL_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER)
"""By place, of models that are compared."""

VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    GRID: "--grid",
    PAPER: "--page",
    GREY: "--grey",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    PURPLE: "--purple",
    AMBER: "--amber",
}
"""By colour, the variable of a page's style that stands for it."""


@dataclass(frozen=True)
class Size:
    """A width that a figure is drawn for."""

    name: str
    width: float
    """Inches; a page shows 72 of its units to the inch."""

    @property
    def is_narrow(self) -> bool:
        """Whether it is for a phone."""
        return self.width < 6


WIDE, NARROW = Size("wide", 10.0), Size("narrow", 4.0)
SIZES = (WIDE, NARROW)


@dataclass(frozen=True)
class Chart:
    """A figure of a report, still to be drawn."""

    name: str
    """Of the PNG, and of its place on the page: letters and hyphens."""
    title: str
    note: str
    """What there is to see, in a sentence or two."""
    draw: "Callable[[Size], Figure]"


_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlecolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "path.simplify": True,
}


@contextmanager
def chart_style() -> Iterator[None]:
    """Draw with the reports' style: text as text, and `$` or `_` in a name as they are."""
    import matplotlib as mpl

    with warnings.catch_warnings(), mpl.rc_context(_STYLE):
        # A page's own fonts have the letters that matplotlib's lacks; a PNG shows a box for each.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def create_figure(size: Size, height: float) -> "Figure":
    """Return an empty figure of a size, `height` inches high."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size.width, height), facecolor="none", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def create_axis(size: Size, height: float, **options: Any) -> "tuple[Figure, Axes]":
    """Return a figure with one axis and its grid."""
    figure = create_figure(size, height)
    axis = figure.add_subplot(**options)
    axis.set_facecolor("none")
    axis.grid(axis="y")
    return figure, axis


def mark_trial(artist: Any, number: int) -> None:
    """Say which trial an artist shows, for the page's highlighting."""
    artist.set_gid(f"trial-{number}")


def mark_points(artist: Any, numbers: list[int]) -> None:
    """Say which trials the points of a collection show, in their order."""
    if numbers:
        artist.set_gid("points-" + "-".join(map(str, numbers)))


def limit_percent(axis: "Axes", values: list[float]) -> None:
    """Set the y limits to rates in percent, without the few that would flatten all others."""
    if not values:
        return
    ordered = sorted(values)
    usual = ordered[min(len(ordered) - 1, int(0.97 * len(ordered)))]
    low, high = ordered[0], min(ordered[-1], max(1.5 * usual, ordered[0] * 1.2))
    margin = 0.06 * (high - low) or 0.05 * high or 1.0
    axis.set_ylim(max(0.0, low - margin), high + margin)
