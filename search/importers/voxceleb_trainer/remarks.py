"""What there is to say of a training of voxceleb_trainer."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["fails", "misleads", "differs", "dropped", "assumed"]
WORDS: dict[Kind, str] = {
    "fails": "would have failed there",
    "misleads": "would have gone wrong there unnoticed",
    "differs": "is done otherwise here",
    "dropped": "has no counterpart here",
    "assumed": "was assumed",
}


@dataclass(frozen=True)
class Remark:
    """One thing worth knowing."""

    kind: Kind
    option: str
    """The trainer's; empty where it is of none in particular."""
    text: str
