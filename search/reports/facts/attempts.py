"""Attempts of trials on slots, on a clock that counts while a driver is at work."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from search.ledger.events import (
    CrashEvent,
    DriverEvent,
    EndEvent,
    Event,
    FinishEvent,
    HoldEvent,
    PartialEvent,
    ReleaseEvent,
    ReportEvent,
    SegmentEvent,
)

Ending = Literal["reached", "ended", "interrupted", "running"]
"""An attempt reached its rung, ended with its trial, was cut short, or goes on."""

_AT_WORK = (
    CrashEvent, DriverEvent, EndEvent, FinishEvent, HoldEvent, PartialEvent, ReleaseEvent,
    ReportEvent, SegmentEvent,
)  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One stretch of training on one slot; times are seconds of work since the search began."""

    trial: str
    began: float
    ended: float
    ending: Ending
    kind: str = ""
    """Of an attempt that was cut short, and of a failure: why."""
    slot: int = 0
    """From 0. The ledger does not say where a trial ran: slots are given out lowest first."""


@dataclass(frozen=True)
class Timeline:
    """All attempts of a search, and where its drivers began."""

    attempts: tuple[Attempt, ...]
    drivers: tuple[float, ...]
    """When each driver after the first began."""
    holds: tuple[tuple[float, float], ...]
    seconds: float
    """Of work, up to the last event."""

    @property
    def slots(self) -> int:
        """How many attempts there were at once, at most."""
        return max((each.slot for each in self.attempts), default=-1) + 1

    def busy_share(self) -> float:
        """Return the share of the slots' time in which they trained."""
        total = self.seconds * self.slots
        return sum(each.ended - each.began for each in self.attempts) / total if total else 0.0


@dataclass
class _Reading:
    """What has been read so far."""

    now: float = 0.0
    last: float | None = None
    """Unix time of the last event at work."""
    under_way: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By trial: when its attempt began, and the epoch it aims at."""
    attempts: list[Attempt] = field(default_factory=list)
    drivers: list[float] = field(default_factory=list)
    holds: list[tuple[float, float]] = field(default_factory=list)
    held: dict[str, float] = field(default_factory=dict)

    def close(self, trial: str, ending: Ending, kind: str = "") -> None:
        if trial in self.under_way:
            began, _ = self.under_way.pop(trial)
            self.attempts.append(Attempt(trial, began, self.now, ending, kind))


def read_timeline(events: Iterable[Event], *, is_running: bool) -> Timeline:
    """Return the attempts that a ledger tells of.

    Args:
        events: of the ledger, in order.
        is_running: whether the search still runs: attempts without an end then go on.
    """
    reading = _Reading()
    for event in events:
        if isinstance(event, _AT_WORK):
            _read(reading, event)
    for trial in list(reading.under_way):
        reading.close(trial, "running" if is_running else "interrupted", "driver")
    for began in reading.held.values():
        reading.holds.append((began, reading.now))
    return Timeline(
        _assign_slots(reading.attempts), tuple(reading.drivers), tuple(reading.holds), reading.now
    )


def _read(reading: _Reading, event: Event) -> None:
    moment = datetime.fromisoformat(event.time).timestamp()
    if isinstance(event, DriverEvent):
        if reading.last is not None:
            reading.drivers.append(reading.now)
        # Nobody worked since the last driver's last event: its attempts ended there.
        for trial in list(reading.under_way):
            reading.close(trial, "interrupted", "driver")
    elif reading.last is not None:
        reading.now += max(0.0, moment - reading.last)
    reading.last = moment
    if isinstance(event, HoldEvent | ReleaseEvent):
        _read_hold(reading, event)
    else:
        _read_attempt(reading, event)


def _read_attempt(reading: _Reading, event: Event) -> None:
    match event:
        case SegmentEvent():
            reading.close(event.trial, "interrupted")
            reading.under_way[event.trial] = (reading.now, event.to_rung)
        case ReportEvent() if event.trial in reading.under_way:
            if event.epoch >= reading.under_way[event.trial][1]:
                reading.close(event.trial, "reached")
        case CrashEvent():
            reading.close(event.trial, "interrupted", event.kind)
        case EndEvent():
            reading.close(event.trial, "ended", event.kind)


def _read_hold(reading: _Reading, event: HoldEvent | ReleaseEvent) -> None:
    if isinstance(event, HoldEvent):
        reading.held.setdefault(event.cause, reading.now)
    elif event.cause in reading.held:
        reading.holds.append((reading.held.pop(event.cause), reading.now))


def _assign_slots(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Give each attempt the lowest slot that is free when it begins."""
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    slots, found = 0, []
    for attempt in sorted(attempts, key=lambda each: (each.began, each.ended, each.trial)):
        while taken and taken[0][0] <= attempt.began:
            heapq.heappush(free, heapq.heappop(taken)[1])
        if free:
            slot = heapq.heappop(free)
        else:
            slot, slots = slots, slots + 1
        heapq.heappush(taken, (attempt.ended, slot))
        found.append(replace(attempt, slot=slot))
    return tuple(found)
