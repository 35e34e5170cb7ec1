"""Events of a search as a whole: its settings, its drivers, its holds, what is to be tried."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from search.ledger.event import Event
from search.ledger.queue import QueuedTrial
from search.ledger.settings import SearchSettings


class ReplayedNotebook(BaseModel):
    """Which notebook a search replays."""

    model_config = ConfigDict(frozen=True, extra="allow")

    notebook: str
    scale: str
    command: str
    """The command line that goes on with it, without its name."""


class SearchEvent(Event, SearchSettings):
    """A search starts, or goes on with other settings; all settings are in it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event: Literal["search"] = "search"
    format: int
    """Of the ledger."""
    replay: ReplayedNotebook | None = None
    space_file: str = ""
    """File of a space that is the user's own; empty for a shipped one."""
    versions: dict[str, str] = Field(default_factory=dict)
    """By library."""
    by: str = ""
    """Who changed the budgets."""

    @property
    def settings(self) -> SearchSettings:
        """Its settings alone."""
        return SearchSettings(**{name: getattr(self, name) for name in SearchSettings.model_fields})

    def extended(self, changes: dict[str, Any], by: str) -> "SearchEvent":
        """The event that changes some settings and keeps the others."""
        return SearchEvent(**{**self.fields(), **changes, "by": by})


class DriverEvent(Event):
    """A driver takes over."""

    event: Literal["driver"] = "driver"
    format: int
    host: str
    pid: int | str
    started: str
    """Boot and start time of its process: with host and pid it is no other's."""
    restart: int = 0
    """How often it has begun anew since the search last got on; 0: somebody launched it."""


class OrphanEvent(Event):
    """A process that outlived an earlier driver was found, and ended where that was possible."""

    # The name on disk is older than the class: ledgers are not rewritten.
    event: Literal["leftover"] = "leftover"
    host: str
    pid: int
    started: str
    trial: str
    """Empty for one of Ray's own."""
    attempt: int
    fate: str
    """`killed`, or why it lives on."""


class ClusterLostEvent(Event):
    """The driver has lost its Ray cluster, and begins anew in the same process or ends."""

    event: Literal["cluster_lost"] = "cluster_lost"
    reason: str
    restart: int
    """How often it has begun anew since the search last got on, this time included; 0: it ends."""


class ExhaustedEvent(Event):
    """The sampler has no config left that was not tried."""

    event: Literal["exhausted"] = "exhausted"
    trials: int
    """How many there were."""


class FinishEvent(Event):
    """A search ends, until it is extended."""

    event: Literal["finish"] = "finish"
    reason: str
    totals: dict[str, int | float]
    """Trials (all, complete, failed), epochs, hours."""


class StopEvent(Event):
    """Somebody asked a trial, or the whole search, to stop."""

    event: Literal["stop"] = "stop"
    trial: str | None
    """None: the whole search."""
    now: bool
    """Whether in the middle of an epoch."""
    by: str


class HoldEvent(Event):
    """No attempt is started while a cause lasts."""

    event: Literal["hold"] = "hold"
    cause: str
    reason: str
    by: str


class ReleaseEvent(Event):
    """A cause to hold is gone."""

    event: Literal["release"] = "release"
    cause: str
    by: str


# --- what is to be tried ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PriorPoint:
    """One point; what its source does not tell is not in it."""

    name: str
    """As its source calls it: `entry 116`, `triplet/t0007`."""
    axes: dict[str, Any]
    distributions: dict[str, str]
    """By axis, as Optuna's JSON: those of the space that is searched now."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Points of the space with results from elsewhere, best first."""

    source: str
    points: tuple[PriorPoint, ...]


class PriorEvent(Event):
    """The prior of a search; the last event before its first trial."""

    event: Literal["prior"] = "prior"
    source: str
    points: tuple[PriorPoint, ...]

    @property
    def prior(self) -> Prior:
        """The prior itself."""
        return Prior(self.source, self.points)


class QueuedEvent(Event):
    """A config was queued, to be tried before the sampler's next suggestion."""

    event: Literal["queued"] = "queued"
    key: str
    config: dict[str, Any]
    origin: str
    log_entry: str
    weights_of: str
    axes: dict[str, Any]
    distributions: dict[str, str]
    by: str = ""

    @classmethod
    def from_queued(cls, queued: QueuedTrial, **more: str) -> "QueuedEvent":
        """The event that puts a trial into the queue."""
        return cls(**{name: getattr(queued, name) for name in _QUEUED}, **more)

    @property
    def queued(self) -> QueuedTrial:
        """The queued trial that this event records."""
        return QueuedTrial(**{name: getattr(self, name) for name in _QUEUED})


_QUEUED = tuple(QueuedTrial.__dataclass_fields__)


class WithdrawnEvent(Event):
    """A queued trial cannot be started."""

    event: Literal["withdrawn"] = "withdrawn"
    key: str
    reason: str
