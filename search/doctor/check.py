"""One thing that `doctor` looks at, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    level: Level
    """note: something optional is missing, or worth knowing. problem: searches will not work."""
    found: str
    todo: str = ""
