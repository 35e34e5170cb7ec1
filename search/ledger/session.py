"""The work of one driver, and how long it took."""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from search.ledger.events import (
    DriverEvent,
    EvaluatedEvent,
    Event,
    HoldEvent,
    PriorEvent,
    PromotedEvent,
    QueuedEvent,
    ReleaseEvent,
    SearchEvent,
)

_NO_DRIVERS = (SearchEvent, QueuedEvent, PriorEvent, PromotedEvent, EvaluatedEvent)
"""Events that, in ledgers without `uptime`, were written while no driver was at work."""


@dataclass(slots=True)
class Session:
    """One driver's work, from its start to its last event."""

    began: datetime
    last: datetime
    uptime: float | None = None
    """Seconds by its own clock, which nobody sets; None: a ledger older than this."""
    held: float = 0.0
    """Seconds of holds that are over."""
    held_since: datetime | None = None
    """When the present hold began; None: there is none."""
    causes: frozenset[str] = frozenset()
    """Of the present hold."""

    @classmethod
    def from_event(cls, event: DriverEvent) -> "Session":
        """Return the session that a driver begins."""
        moment = datetime.fromisoformat(event.time)
        return cls(moment, moment, event.uptime)

    @property
    def seconds(self) -> float:
        """How long the driver has worked, up to its last event."""
        if self.uptime is not None:
            return self.uptime
        return max(0.0, (self.last - self.began).total_seconds())

    def advance(self, event: Event) -> None:
        """Move the clock on to an event of the driver; what others write does not move it."""
        if isinstance(event, HoldEvent | ReleaseEvent):
            self._count_hold(event)
        if self.uptime is not None:
            if event.uptime is not None:
                self.uptime = event.uptime
                self.last = datetime.fromisoformat(event.time)
        elif not isinstance(event, _NO_DRIVERS):
            self.last = datetime.fromisoformat(event.time)

    def seconds_on_hold(self, now: float) -> float:
        """Return how long nothing was started, up to now (Unix time)."""
        since = self.held_since
        return self.held + (max(0.0, now - since.timestamp()) if since is not None else 0.0)

    def _count_hold(self, event: HoldEvent | ReleaseEvent) -> None:
        moment = datetime.fromisoformat(event.time)
        if isinstance(event, HoldEvent):
            self.held_since = self.held_since or moment
            self.causes |= {event.cause}
            return
        self.causes -= {event.cause}
        if not self.causes and self.held_since is not None:
            self.held += max(0.0, (moment - self.held_since).total_seconds())
            self.held_since = None


def sum_seconds(
    sessions: Sequence[Session], now: datetime | None = None, uptime: float | None = None
) -> float:
    """Return how long all drivers together have worked.

    Args:
        sessions: of the drivers, oldest first.
        now: counts the last driver up to then, by the wall clock; None: up to its last event.
        uptime: counts the last driver up to then, by its own clock; beats `now`.
    """
    # Not sum(), which rounds in another way from Python 3.12 on: one ledger, one answer.
    seconds = functools.reduce(operator.add, (each.seconds for each in sessions), 0.0)
    if sessions and uptime is not None:
        seconds += max(0.0, uptime - sessions[-1].seconds)
    elif sessions and now is not None:
        seconds += max(0.0, (now - sessions[-1].last).total_seconds())
    return seconds
