"""Define the remarks on a training of voxceleb_trainer."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["fails", "misleads", "differs", "dropped", "assumed"]
HEADINGS: dict[Kind, str] = {
    "fails": "would have failed there",
    "misleads": "would have gone wrong there unnoticed",
    "differs": "is done otherwise here",
    "dropped": "has no counterpart here",
    "assumed": "was assumed",
}


@dataclass(frozen=True)
class Remark:
    """One remark on an option."""

    kind: Kind
    option: str
    """The trainer's option; empty if the remark is on none in particular."""
    text: str
