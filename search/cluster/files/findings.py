"""Define what a check finds in a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Step = str | int
Place = tuple[Step, ...]
"""A place in a document: keys, and indices of lists."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong."""

    line: int
    """From 1; 0: the file as a whole."""
    where: str
    """As in `spec.workerGroupSpecs[0].groupName`; empty for the document itself."""
    message: str


@dataclass(frozen=True)
class FileFindings:
    """The findings of one file, checked or not."""

    file: Path
    kind: str
    """The kind that it was checked as; empty if the kind is not known."""
    findings: Sequence[Finding] = ()
    skipped: str = ""
    """Why the file was not checked at all."""
    unchecked: Sequence[str] = field(default=())
    """What could not be checked, and what is missing for it."""

    @property
    def status(self) -> Literal["ok", "bad", "skipped"]:
        """The result in one word."""
        if self.skipped:
            return "skipped"
        return "bad" if self.findings else "ok"


def format_place(place: Place) -> str:
    """Return a place as text, such as `spec.workerGroupSpecs[0]`."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")
