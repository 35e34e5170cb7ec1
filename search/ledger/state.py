"""Compute the state of a search from its events, one event at a time, without side effects.

Nothing here decides (`search.scheduler.asha`) and nothing reads a file (`search.ledger.ledger`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from search.ledger.events import (
    ClusterLostEvent,
    CrashEvent,
    DamagedEvent,
    DriverEvent,
    EndEvent,
    EvaluatedEvent,
    Event,
    ExhaustedEvent,
    FinishEvent,
    HoldEvent,
    LedgerDamaged,
    MalformedEvent,
    PartialEvent,
    Prior,
    PriorEvent,
    PromotedEvent,
    QueuedEvent,
    ReleaseEvent,
    RemovedEvent,
    ReportEvent,
    SearchEvent,
    SegmentEvent,
    StopEvent,
    TrialEvent,
    WithdrawnEvent,
)
from search.ledger.queue import QueuedTrial
from search.ledger.report import Partial, Report
from search.ledger.session import Session, sum_seconds
from search.ledger.trial import TrialRecord

TrialChange = SegmentEvent | EndEvent | CrashEvent | RemovedEvent | DamagedEvent
"""An event that changes one trial, other than a checkpoint."""


@dataclass(slots=True)
class SearchState:
    """The state of a search: what sampler, scheduler, status and tracking read."""

    settings: SearchEvent | None = None
    """The last `search` event; None before the first."""
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    queue: dict[str, QueuedTrial] = field(default_factory=dict)
    """Trials that wait to be started, by key, oldest first."""
    begun: dict[str, str] = field(default_factory=dict)
    """The trial that a queued one has become, by its key."""
    withdrawn: dict[str, str] = field(default_factory=dict)
    """Queued trials that could not be started, and why, by key."""
    prior: Prior | None = None
    """What was known before it began."""
    sessions: list[Session] = field(default_factory=list)
    driver: str = ""
    """Whose the last session is, as `search.requests.mailbox.identity` says."""
    stops: list[StopEvent] = field(default_factory=list)
    promotions: list[PromotedEvent] = field(default_factory=list)
    evaluations: list[EvaluatedEvent] = field(default_factory=list)
    other_events: list[Event] = field(default_factory=list)
    """Events that change nothing here, and those of kinds that a later version writes."""
    finish: FinishEvent | None = None
    """The `finish` event, until a driver starts again."""
    search_stop: Literal["", "stop", "now"] = ""
    """Whether the whole search was asked to stop, until a driver starts again."""
    exhausted: int | None = None
    """Trials there were when the sampler had no other config left; until a driver starts again."""
    cluster_loss: ClusterLostEvent | None = None
    """That the last driver has lost its cluster, until a driver starts again."""
    holds: dict[str, str] = field(default_factory=dict)
    """By cause, why nothing new is started now; a driver begins and ends without any."""
    requests: set[str] = field(default_factory=set)
    """Those that have been carried out, by the names of their files."""
    refused: int = 0
    """Reports of attempts that were over."""
    repeated: int = 0
    """Reports of epochs already there."""
    checkpoint_bytes: int = 0
    """Disk that recorded checkpoints use, as far as their sizes are known."""
    largest_checkpoint: int = 0
    """Bytes."""
    version: int = 0
    """Number of events so far."""
    touched: list[str] = field(default_factory=list)
    """Of every event the trial that it names, or "": what is kept beside reads on from here."""

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> "SearchState":
        """Build the state by applying events in order."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    def touched_since(self, event: int) -> list[str]:
        """Return the trials named by events from this number on, each once, in order."""
        return [name for name in dict.fromkeys(self.touched[event:]) if name in self.trials]

    @property
    def rungs(self) -> tuple[int, ...]:
        """The ladder of the last `search` event; empty before the first."""
        return () if self.settings is None else self.settings.rungs

    @property
    def search(self) -> SearchEvent:
        """The settings of the search, with its name: the last `search` event."""
        assert self.settings is not None, "nothing is recorded yet"
        return self.settings

    def ranked(self) -> list[TrialRecord]:
        """Return trials with a usable report by their best dev EER; ties by creation order.

        This is what `best` means everywhere: in tables, in MLflow's `best_dev_eer`, in `promote`.
        """
        best = {name: trial.best() for name, trial in self.trials.items()}
        usable = [(report.objective, name) for name, report in best.items() if report is not None]
        return [self.trials[name] for _, name in sorted(usable)]

    def totals(self) -> dict[str, int | float]:
        """Return the numbers of trials, and of epochs, that a `finish` event records."""
        trials = self.trials.values()
        return {
            "trials": len(trials),
            "complete": sum(trial.state == "complete" for trial in trials),
            "failed": sum(trial.state == "failed" for trial in trials),
            "epochs": sum(len(trial.reports) for trial in trials),
        }

    def spent_hours(self, now: datetime | None = None, uptime: float | None = None) -> float:
        """How long all drivers together have worked.

        Args:
            now: when a search is looked at that another process drives; counts up to then.
            uptime: of the running driver, by its own clock, if it is this process.
        """
        if self.finish is not None:
            now = uptime = None
        return sum_seconds(self.sessions, now, uptime) / 3600

    def apply(self, event: Event) -> None:
        """Take one more event into account; an unknown kind is kept in `other_events`.

        Raises:
            KeyError: it names a trial that there is not.
            LedgerDamaged: it lacks what its kind must say.
        """
        self.version += 1
        self.touched.append(event.trial_name)
        if event.request:
            self.requests.add(event.request)
        match event:
            case ReportEvent() | PartialEvent():
                self._add_checkpoint(self.trials[event.trial], event)
            case SegmentEvent() | EndEvent() | CrashEvent() | RemovedEvent() | DamagedEvent():
                self._apply_to_trial(self.trials[event.trial], event)
            case TrialEvent():
                self._add_trial(event)
            case QueuedEvent() | WithdrawnEvent():
                self._apply_to_queue(event)
            case _:
                self._apply_to_search(event)
        if self.sessions:
            self.sessions[-1].advance(event)

    # --- one trial ---------------------------------------------------------------------------

    def _add_trial(self, event: TrialEvent) -> None:
        record = TrialRecord.from_event(event)
        # A live view reads in another thread: a dictionary that it may walk never changes size.
        self.trials = {**self.trials, event.trial: record}
        if record.wish:
            self.queue = {key: each for key, each in self.queue.items() if key != record.wish}
            self.begun[record.wish] = event.trial

    def _apply_to_trial(self, trial: TrialRecord, event: TrialChange) -> None:
        match event:
            case SegmentEvent():
                trial.begin_attempt(event)
            case CrashEvent() if trial.live and event.attempt == trial.attempt:
                trial.interrupt_attempt(event)
            case CrashEvent():
                self.refused += 1
            case EndEvent():
                trial.end(event, len(self.sessions))
            case RemovedEvent():
                trial.remove_checkpoints(event)
                self.checkpoint_bytes -= event.bytes
            case DamagedEvent():
                trial.lose_checkpoint(event, self.rungs)

    def _add_checkpoint(self, trial: TrialRecord, event: ReportEvent | PartialEvent) -> None:
        if isinstance(event, ReportEvent):
            self._add_report(trial, event)
        else:
            self._add_partial(trial, event)

    def _add_report(self, trial: TrialRecord, event: ReportEvent) -> None:
        if not trial.live or event.attempt != trial.attempt:
            self.refused += 1
        elif event.epoch in trial.reports:
            self.repeated += 1
        else:
            trial.add_report(Report.from_event(event), self.rungs)
            self._count_bytes(event)

    def _add_partial(self, trial: TrialRecord, event: PartialEvent) -> None:
        # Also after the attempt was cut: an actor that is told to leave may answer late.
        is_open = trial.state in ("running", "paused")
        if not is_open or event.attempt != trial.attempt or event.epoch != trial.epoch + 1:
            self.refused += 1
            return
        trial.retire_partial()
        trial.partial = Partial.from_event(event)
        self._count_bytes(event)

    def _count_bytes(self, event: ReportEvent | PartialEvent) -> None:
        size = event.bytes or 0
        self.checkpoint_bytes += size
        self.largest_checkpoint = max(self.largest_checkpoint, size)

    # --- the whole ---------------------------------------------------------------------------

    def _apply_to_queue(self, event: QueuedEvent | WithdrawnEvent) -> None:
        key = event.key
        if isinstance(event, WithdrawnEvent):
            self.queue = {each: queued for each, queued in self.queue.items() if each != key}
            self.withdrawn[key] = event.reason
        elif key in self.queue or key in self.begun:
            self.repeated += 1
        else:
            self.queue = {**self.queue, key: event.queued}
            self.withdrawn.pop(key, None)

    def _apply_to_search(self, event: Event) -> None:
        match event:
            case HoldEvent() | ReleaseEvent():
                self._apply_hold(event)
            case SearchEvent():
                self.settings, self.exhausted = event, None
                for trial in self.trials.values():
                    trial.find_rung(event.rungs)
            case DriverEvent():
                self._begin_session(event)
            case StopEvent():
                self._apply_stop(event)
            case FinishEvent():
                self.finish, self.holds = event, {}
            case _:
                self._apply_rare(event)

    def _begin_session(self, event: DriverEvent) -> None:
        self.sessions.append(Session.from_event(event))
        self.driver = f"{event.host} {event.pid} {event.started}"
        self.finish, self.exhausted, self.cluster_loss = None, None, None
        # A driver that begins anew by itself goes on with what its user has asked of it.
        asked = self.holds.keys() & {"user"} if event.restart else set()
        self.holds = {cause: self.holds[cause] for cause in asked}
        if not event.restart:
            self.search_stop = ""

    def _apply_stop(self, event: StopEvent) -> None:
        self.stops.append(event)
        if event.trial is None:
            self.search_stop = "now" if event.now else "stop"
        else:
            self.trials[event.trial].stop_asked = True

    def _apply_hold(self, event: HoldEvent | ReleaseEvent) -> None:
        others = {cause: why for cause, why in self.holds.items() if cause != event.cause}
        held = {event.cause: event.reason} if isinstance(event, HoldEvent) else {}
        self.holds = {**others, **held}

    def _apply_rare(self, event: Event) -> None:
        match event:
            case ExhaustedEvent():
                self.exhausted = event.trials
            case ClusterLostEvent():
                self.cluster_loss = event
            case PriorEvent():
                self.prior = event.prior
            case PromotedEvent():
                self.promotions.append(event)
            case EvaluatedEvent():
                self.evaluations.append(event)
            case MalformedEvent():
                raise LedgerDamaged(
                    f"search {event.search!r}: its event {self.version} is no {event.event} event "
                    f"({event.problem}); restore the ledger from a copy, or launch under another "
                    "--name"
                )
            case _:
                self.other_events.append(event)
