"""Results recorded with a checkpoint: of a whole epoch, or of a part of one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from search.ledger.events import PartialEvent, ReportEvent
from search.ledger.kinds import OBJECTIVE


@dataclass(frozen=True, slots=True)
class Report:
    """One epoch of a trial."""

    epoch: int
    time: str
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: str
    """Relative to the search's folder."""
    sha256: str
    attempt: int
    bytes: int | None = None
    """Of the checkpoint; None: not known."""
    gpu_share: float = 0.0
    """The most of its GPU's memory that it held, as a fraction; 0 without a GPU."""

    @classmethod
    def from_event(cls, event: ReportEvent) -> "Report":
        """Return what a `report` event says."""
        return cls(
            event.epoch,
            event.time,
            event.metrics,
            event.seconds,
            event.checkpoint,
            event.sha256,
            event.attempt,
            event.bytes,
            event.gpu_share,
        )

    @property
    def next_epoch(self) -> int:
        """The first epoch that a training reports which resumes from this checkpoint."""
        return self.epoch + 1

    @property
    def objective(self) -> float:
        """The dev EER; infinite if there is none that can be compared."""
        value = self.metrics.get(OBJECTIVE, math.inf)
        return value if math.isfinite(value) else math.inf


@dataclass(frozen=True, slots=True)
class Partial:
    """A checkpoint in the middle of an epoch."""

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
    """Of the checkpoint; None: not known."""

    @classmethod
    def from_event(cls, event: PartialEvent) -> "Partial":
        """Return what a `partial` event says."""
        return cls(
            event.epoch,
            event.steps,
            event.of,
            event.time,
            event.seconds,
            event.checkpoint,
            event.sha256,
            event.attempt,
            event.bytes,
        )

    @property
    def next_epoch(self) -> int:
        """The first epoch that a training reports which resumes from this checkpoint."""
        return self.epoch

    def __str__(self) -> str:
        return f"step {self.steps} of {self.of} of epoch {self.epoch}"
