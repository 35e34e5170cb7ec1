"""Put somebody else's text into Markdown so that it stays text: no markup, no HTML, no new line."""

import html
import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~.-])")


def escape_text(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    return _MARKUP.sub(r"\\\1", html.escape(_make_printable(text), quote=False))


def format_code(text: str) -> str:
    """Return a text as a code span, on one line; also with backticks in it, or in a table."""
    shown = _make_printable(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    # A span ends at as many backticks as it began with, and gives up one space at each end.
    fence = "`" * (longest + 1)
    space = " " if longest or not shown.strip() else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _make_printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
