"""Every kind of event that a ledger holds, as a frozen model.

A field without a default is in every event of its kind; a field with one is written only where it
was set. What older versions wrote in another way is converted by `search.ledger.formats`.
"""

from collections.abc import Generator
from typing import Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from search.ledger.event import Event, LedgerDamaged
from search.ledger.search_events import (
    ClusterLostEvent,
    DriverEvent,
    ExhaustedEvent,
    FinishEvent,
    HoldEvent,
    OrphanEvent,
    Prior,
    PriorEvent,
    PriorPoint,
    QueuedEvent,
    ReleaseEvent,
    ReplayedNotebook,
    SearchEvent,
    StopEvent,
    WithdrawnEvent,
)
from search.ledger.trial_events import (
    CheckpointEvent,
    CrashEvent,
    DamagedEvent,
    EndEvent,
    PartialEvent,
    RemovedEvent,
    ReportEvent,
    SegmentEvent,
    TrialEvent,
    WarmWeights,
)

__all__ = [
    "FORMAT",
    "CheckpointEvent",
    "ClusterLostEvent",
    "CrashEvent",
    "DamagedEvent",
    "DriverEvent",
    "EndEvent",
    "EvaluatedEvent",
    "EvaluatedList",
    "Event",
    "EventSteps",
    "ExhaustedEvent",
    "FinishEvent",
    "HoldEvent",
    "KnownEvent",
    "LedgerDamaged",
    "MalformedEvent",
    "OrphanEvent",
    "PartialEvent",
    "Prior",
    "PriorEvent",
    "PriorPoint",
    "PromotedCheckpoint",
    "PromotedEvent",
    "QueuedEvent",
    "ReleaseEvent",
    "RemovedEvent",
    "ReplayedNotebook",
    "ReportEvent",
    "SearchEvent",
    "SegmentEvent",
    "StopEvent",
    "TrialEvent",
    "UnknownEvent",
    "WarmWeights",
    "WithdrawnEvent",
]

FORMAT = 2
"""Of the ledger that is written: 1 had no kinds of failures and no uptime, and did not say so."""

T = TypeVar("T")

EventSteps: TypeAlias = Generator[Event, None, T]
"""What a component of the driver gives: events, each written and applied before it goes on."""


# --- what became of a model ------------------------------------------------------------------


class PromotedCheckpoint(BaseModel):
    """Which checkpoint was promoted."""

    model_config = ConfigDict(frozen=True, extra="allow")

    epoch: int
    sha256: str


class PromotedEvent(Event):
    """Records that a checkpoint was registered as a model."""

    event: Literal["promoted"] = "promoted"
    trial: str
    checkpoint: PromotedCheckpoint
    sha256: str
    """Of the weights that were registered."""
    folder: str
    model: str
    version: str
    alias: str
    tracking_uri: str


class EvaluatedList(BaseModel):
    """A list of pairs: its name, its counts."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    sha256: str


class EvaluatedEvent(Event):
    """Records that a model was evaluated on test pairs."""

    event: Literal["evaluated"] = "evaluated"
    trial: str | None
    sha256: str
    """Of the weights."""
    list: EvaluatedList
    conditions: tuple[str, ...]
    protocol: str
    metrics: dict[str, float]


# --- what cannot be told ---------------------------------------------------------------------


class UnknownEvent(Event):
    """An event of a kind that a later version writes."""

    @property
    def trial_name(self) -> str:
        name = (self.__pydantic_extra__ or {}).get("trial")
        return name if isinstance(name, str) else ""


class MalformedEvent(UnknownEvent):
    """An event of a known kind that lacks a required field; the state cannot take it in."""

    problem: str


KnownEvent = (
    SearchEvent
    | DriverEvent
    | OrphanEvent
    | ClusterLostEvent
    | ExhaustedEvent
    | FinishEvent
    | StopEvent
    | HoldEvent
    | ReleaseEvent
    | PriorEvent
    | QueuedEvent
    | WithdrawnEvent
    | TrialEvent
    | SegmentEvent
    | ReportEvent
    | PartialEvent
    | CrashEvent
    | EndEvent
    | RemovedEvent
    | DamagedEvent
    | PromotedEvent
    | EvaluatedEvent
)
