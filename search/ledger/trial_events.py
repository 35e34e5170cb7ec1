"""Events of one trial: its attempts, epochs and checkpoints, and how it ended."""

from dataclasses import dataclass
from typing import Any, Literal

from search.ledger.event import Event
from search.ledger.kinds import EndedBy, EndState, Failure, InterruptReason


@dataclass(frozen=True, slots=True)
class WarmWeights:
    """A checkpoint to start from."""

    weights: str
    """As the config names it."""
    checkpoint: str
    """Its folder, absolute."""
    sha256: str


class TrialEvent(Event):
    """A trial is created."""

    event: Literal["trial"] = "trial"
    trial: str
    config: dict[str, Any]
    signature: str
    origin: str
    encoder_parameters: int | None
    """Weights of the encoder, the loss's head not included; None: it cannot be built."""
    warm_start: WarmWeights | None
    axes: dict[str, Any]
    distributions: dict[str, str]
    wish: str = ""
    """Key of the queued trial that it is; empty: the sampler's idea."""
    log_entry: str | None = None


class SegmentEvent(Event):
    """An attempt begins: a trial is trained on, to a rung."""

    event: Literal["segment"] = "segment"
    trial: str
    attempt: int
    from_epoch: int
    from_step: int
    to_rung: int


class CheckpointEvent(Event):
    """What both kinds of checkpoints say."""

    trial: str
    attempt: int
    epoch: int
    seconds: float
    """That the epoch has taken, all attempts at it together."""
    checkpoint: str
    """Relative to the search's folder."""
    sha256: str
    bytes: int | None
    """None: not known."""


class ReportEvent(CheckpointEvent):
    """An epoch is trained."""

    event: Literal["report"] = "report"
    metrics: dict[str, float]
    gpu_share: float
    """The most of its GPU's memory that it held, as a fraction; 0 without a GPU."""


class PartialEvent(CheckpointEvent):
    """An attempt stopped in the middle of an epoch, and saved where it was."""

    event: Literal["partial"] = "partial"
    steps: int
    """Of the optimiser that are done of it."""
    of: int
    """Steps that it has."""


class CrashEvent(Event):
    """An attempt was cut short, of itself or by the driver."""

    event: Literal["crash"] = "crash"
    trial: str
    attempt: int
    reason: str
    kind: InterruptReason
    counts: bool
    """Whether it uses up a retry."""


class EndEvent(Event):
    """A trial is over, or over until the search is extended."""

    event: Literal["end"] = "end"
    trial: str
    state: EndState
    reason: str
    by: EndedBy
    kind: Failure | Literal[""]
    """Of a failed trial: why."""
    rung: int


class RemovedEvent(Event):
    """Checkpoints of a trial are about to be removed, to save space."""

    event: Literal["removed"] = "removed"
    trial: str
    checkpoints: tuple[str, ...]
    bytes: int


class DamagedEvent(Event):
    """A checkpoint is missing, or not what was recorded."""

    event: Literal["damaged"] = "damaged"
    trial: str
    epoch: int
    checkpoint: str
    reason: str
    from_epoch: int
    """The epoch that the trial goes on from; later ones are trained again."""
