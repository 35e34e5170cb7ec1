"""The protocol by which long work reports its progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the units done so far and the total; may be called often."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""
