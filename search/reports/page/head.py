"""The facts that every page has: what it is, of what, and by which version it was made."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def page_head(kind: str, heading: str, summary: str) -> dict[str, Any]:
    """Return heading, title, summary and origin of a page."""
    try:
        number = version("spksearch")
    except PackageNotFoundError:
        number = "(not installed)"
    return {
        "kind": f"spksearch, {kind.lower()}",
        "heading": heading,
        "title": f"{heading}: {kind.lower()} report",
        "summary": summary,
        "version": number,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "origin": "The page loads nothing and sends nothing.",
    }
