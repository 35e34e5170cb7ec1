"""What a check has to say about a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Step = str | int
Place = tuple[Step, ...]
"""Where in a document: keys, and indices of lists."""


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
    """One file, checked or not."""

    file: Path
    kind: str
    """What it was taken for; empty if for nothing that is known."""
    findings: Sequence[Finding] = ()
    skipped: str = ""
    """Why the file was not checked at all."""
    unchecked: Sequence[str] = field(default=())
    """What could not be checked, and what is missing for it."""

    @property
    def status(self) -> Literal["ok", "bad", "skipped"]:
        """In one word."""
        if self.skipped:
            return "skipped"
        return "bad" if self.findings else "ok"


def words(place: Place) -> str:
    """A place for people."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")
