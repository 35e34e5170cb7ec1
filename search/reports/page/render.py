"""Put a page together: one HTML file that loads nothing, and may run no script but its own."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.atomic_folder import replace_file
from search.core.redact import redact
from search.reporting.formatting import (
    format_duration,
    format_interval,
    format_percent,
    format_value,
)
from search.reports.figures.canvas import Chart
from search.reports.figures.svg import draw_svg, write_png

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@dataclass(frozen=True)
class DrawnChart:
    """A figure that is ready for a page."""

    name: str
    title: str
    note: str
    svg: dict[str, str]
    """By the name of the size."""


def write_page(path: Path, template: str, charts: Sequence[Chart], facts: dict[str, Any]) -> Path:
    """Write a page whole or not at all, and return its path.

    Args:
        path: of the HTML file; its folder is there.
        template: name of the file in `templates/`.
        charts: drawn here; the template finds each by its name.
        facts: what else the template shows; every text is escaped.
    """
    drawn = {chart.name: draw_chart(chart) for chart in charts}
    text = render(template, {**facts, "charts": drawn})
    replace_file(path, text.encode("utf-8", errors="replace"))
    return path


def write_pngs(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Write every figure to a PNG in a folder that is there."""
    return [write_png(chart, folder) for chart in charts]


def draw_chart(chart: Chart) -> DrawnChart:
    """Draw a chart in every size."""
    return DrawnChart(chart.name, chart.title, chart.note, draw_svg(chart))


def render(template: str, facts: dict[str, Any]) -> str:
    """Return a page as text."""
    return _environment().get_template(template).render(**facts)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    # Everything is escaped: names of searches, trials and speakers are other people's text.
    made = Environment(
        loader=PackageLoader("search.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_credentials,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _read("style.css"), _read("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The page's policy names this one script, so that no other would run even if one got in.
    made.globals |= {
        "style": Markup(style),
        "script": Markup(script),
        "script_hash": digest,
    }
    made.filters |= {
        "percent": format_percent,
        "value": format_value,
        "duration": format_duration,
        "svg": Markup,  # matplotlib has escaped the texts in it
        "prose": _mark_commands,
    }
    made.globals |= {"interval": format_interval}
    return made


def _without_credentials(value: Any) -> Any:
    """Hide credentials in what a template shows: a reason to fail may quote an address."""
    from markupsafe import Markup

    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return redact(value) if is_text else value


def _mark_commands(text: str) -> "Markup":
    """Return a text with what stands between backticks as code; everything in it is escaped."""
    from markupsafe import Markup, escape

    text = redact(text)
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a name with a backtick of its own
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _read(name: str) -> str:
    return (files("search.reports.page") / name).read_text(encoding="utf-8")
