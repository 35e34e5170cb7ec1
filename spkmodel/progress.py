"""How long work tells how far it has come."""

from typing import Protocol


class Progress(Protocol):
    """Called with the units done so far and the total; may be called often."""

    def __call__(self, done: int, total: int) -> None: ...


def silent(done: int, total: int) -> None:
    """Tell nobody."""
