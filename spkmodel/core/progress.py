"""How long work tells how far it has come."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the units done so far and the total; may be called often."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""
