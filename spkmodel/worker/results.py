"""What a training tells the search, as frozen data; and how Tune carries it.

Tune wants a dictionary from a trainable, flattens it and adds keys of its own. This module is the
only place that knows them. No Ray here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A checkpoint that an attempt has just written."""

    folder: str
    """Absolute."""
    sha256: str
    bytes: int | None = None
    """None: not known."""


@dataclass(frozen=True, slots=True)
class EpochReport:
    """An epoch was trained, evaluated and saved."""

    trial: str
    attempt: int
    epoch: int
    """From 1."""
    metrics: Mapping[str, float]
    seconds: float
    checkpoint: SavedCheckpoint
    gpu_share: float = 0.0
    """The most of its GPU's memory that the process held, as a fraction; 0 without a GPU."""
    is_last: bool = False
    """Whether its segment ends with it."""


@dataclass(frozen=True, slots=True)
class PartialReport:
    """An attempt that was told to leave has saved where it is, in the middle of an epoch."""

    trial: str
    attempt: int
    epoch: int
    """The one under way, from 1."""
    steps: int
    """Of the optimiser that are done of it."""
    of: int
    """Steps that it has."""
    seconds: float
    checkpoint: SavedCheckpoint
    is_last: bool = True
    """Whether its segment ends with it."""


@dataclass(frozen=True, slots=True)
class TrainingFailed:
    """A training diverged or collapsed: it would do so again."""

    trial: str
    attempt: int
    epoch: int
    reason: str
    """Begins with `diverged` or `collapsed`."""


@dataclass(frozen=True, slots=True)
class CheckpointUnusable:
    """The checkpoint to go on from is not what was recorded."""

    trial: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class StorageRefused:
    """The storage does not take the training's own checkpoint."""

    trial: str
    attempt: int
    errno: int


WorkerResult = EpochReport | PartialReport | TrainingFailed | CheckpointUnusable | StorageRefused

_RESULT = "result"


def to_tune(result: WorkerResult) -> dict[str, Any]:
    """Return the dictionary that a trainable's `step` gives to Tune.

    It has `epoch` in any case, since Tune's searcher wants a metric that every result has. It has
    no `done`: Tune would then pass the result to neither scheduler nor searcher.
    """
    return {"epoch": getattr(result, "epoch", 0), _RESULT: result}


def from_tune(reported: Mapping[str, Any]) -> WorkerResult:
    """Return what a training told, from the dictionary that Tune hands on."""
    result: WorkerResult = reported[_RESULT]
    return result
