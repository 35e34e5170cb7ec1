"""Define the interface through which long work reports its progress to a person.

It stands below everything that works for long. What draws it is in `search.reporting.terminal`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from spkmodel.core.progress import Progress, silent


class Display(Protocol):
    """A display for the progress of long work; all of it goes to stderr."""

    def print_line(self, text: str) -> None:
        """Show one line."""
        ...

    def task(self, title: str, unit: str) -> AbstractContextManager[Progress]:
        """Show a bar while the context lasts: `with display.task("packing", "utterances")`."""
        ...


class Silent:
    """A display that shows nothing."""

    def print_line(self, text: str) -> None:
        """Show nothing."""

    @contextmanager
    def task(self, title: str, unit: str) -> Iterator[Progress]:  # noqa: ARG002 (the protocol's names)
        yield silent

    @contextmanager
    def watch(self, source: Callable[[], object]) -> Iterator[None]:  # noqa: ARG002 (the protocol's name)
        yield
