"""Write a figure as SVG for the inside of a page, and as a PNG."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from search.reports.figures.canvas import PAPER, SIZES, VARIABLES, WIDE, Chart, chart_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PNG_RESOLUTION = 125
"""Dots an inch."""

_HEAD = re.compile(r"^.*?(?=<svg )", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZES = re.compile(r'(<svg [^>]*?) width="[^"]*"|(<svg [^>]*?) height="[^"]*"', re.DOTALL)
_IDS = re.compile(r'\b(id="|xlink:href="#|url\(#)')
_COMMENTS = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_FONTS = re.compile(r"'DejaVu Sans'(?:, [^;\"]+)?")
_TRIALS = re.compile(r'<g id="trial-(\d+)">')
_POINTS = re.compile(r'<g id="points-([\d-]+)">')
_PLAIN_GROUPS = re.compile(
    r'<g id="(?:patch|line2d|text|axes|figure|matplotlib|xtick|ytick|legend)[^"]*">'
)
_COORDINATES = re.compile(r'\b(?:d|x|y|x1|y1|points|transform)="[^"]*"')
_DIGITS = re.compile(r"(\.\d{2})\d+")


def draw_svg(chart: Chart) -> dict[str, str]:
    """Return the chart as SVG text by the name of its size."""
    with chart_style():
        return {size.name: to_svg(chart.draw(size), f"{chart.name}-{size.name}") for size in SIZES}


def write_png(chart: Chart, folder: Path) -> Path:
    """Write the chart, as the page shows it on a wide screen, to a PNG on white."""
    path = folder / f"{chart.name}.png"
    with chart_style():
        figure = chart.draw(WIDE)
        figure.savefig(path, format="png", dpi=PNG_RESOLUTION, facecolor=PAPER)
    return path


def to_svg(figure: "Figure", name: str) -> str:
    """Return a figure as an `svg` element; `name` keeps its ids apart from those of others."""
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # the same figure, the same text
        figure.savefig(stream, format="svg", facecolor="none", metadata={"Date": None})
    text = _METADATA.sub("", _HEAD.sub("", stream.getvalue()))
    text = _COMMENTS.sub("", text)
    text = _mark_points(_TRIALS.sub(r'<g data-t="\1">', text))
    text = _PLAIN_GROUPS.sub("<g>", text)
    text = _IDS.sub(rf"\g<1>{name}-", text)
    text = _SIZES.sub(lambda match: match[1] or match[2], text)
    text = _FONTS.sub("var(--font)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = _COORDINATES.sub(lambda match: _DIGITS.sub(r"\1", match[0]), text)
    return re.sub(r"\n\s*", "\n", text).replace("<svg ", '<svg aria-hidden="true" ', 1).strip()


def _mark_points(text: str) -> str:
    """Give each point of a marked collection the number of its trial."""
    parts = _POINTS.split(text)
    found = [parts[0]]
    for numbers, body in zip(parts[1::2], parts[2::2], strict=True):
        left = iter(numbers.split("-"))
        count = numbers.count("-") + 1
        # A single point is written as a path, several as uses of one that is defined before.
        element = re.compile("<path " if count == 1 else "<use ")
        found.append("<g>")
        found.append(element.sub(lambda match: f'{match[0]}data-t="{next(left)}" ', body, count))  # noqa: B023 (called at once)
    return "".join(found)
