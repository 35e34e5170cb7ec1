"""Define the result of one check of `doctor`."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Check:
    """The result of one check, and what to do about it."""

    name: str
    level: Level
    """note: something optional is missing, or worth knowing. problem: searches will not work."""
    found: str
    todo: str = ""
