"""docs/reliability.md, from the result files alone."""

from pathlib import Path


def page(results: Path) -> str:
    """The whole page."""
    return str(results)
