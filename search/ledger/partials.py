"""Checkpoints in the middle of an epoch: what the ledger says of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Partial:
    """Where an attempt wrote down how far an epoch had come."""

    epoch: int
    """Under way, from 1."""
    steps: int
    """Of the optimiser that are done of it."""
    of: int
    """Steps that it has."""
    time: str
    seconds: float
    """That the epoch has taken so far, all attempts at it together."""
    checkpoint: str
    """Relative to the search's folder."""
    sha256: str
    attempt: int
    bytes: int | None = None

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> "Partial":
        """What a `partial` event says."""
        return cls(**{name: event[name] for name in cls.__dataclass_fields__})

    @property
    def next_epoch(self) -> int:
        """The epoch that whoever goes on from here reports first."""
        return self.epoch

    def __str__(self) -> str:
        return f"step {self.steps} of {self.of} of epoch {self.epoch}"
