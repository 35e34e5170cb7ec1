"""Compute what MLflow shows of a search from the ledger's events alone.

Pure: the same events give the same runs, params, tags and points, so that sending them again
after a crash changes nothing. `search.tracking.sync` carries it to a server.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass, field

from search.ledger.events import (
    CrashEvent,
    DamagedEvent,
    DriverEvent,
    EndEvent,
    EvaluatedEvent,
    Event,
    FinishEvent,
    PromotedEvent,
    ReportEvent,
    SearchEvent,
    SegmentEvent,
    TrialEvent,
)
from search.ledger.kinds import OBJECTIVE, SIZE
from search.ledger.state import SearchState
from search.tracking.values import as_param, as_tag, finite, milliseconds, run_name

SEARCH = "search"
"""The key of the parent run, beside the trials' own names."""
CURSOR = "ledger_events"
"""Tag of a run: how many of the ledger's events it has received."""
HOLD = "hold"
"""Tag of the parent run: why nothing new is started, while that lasts; gone afterwards."""
PASSING = frozenset({HOLD})
"""Tags that go when they are no longer wanted."""

_SETTINGS = (
    "space",
    "corpus_sha256",
    "seed",
    "dev_condition",
    "rungs",
    "eta",
    "rule",
    "objectives",
    "warm_start",
    "trials",
    "hours",
    "max_epochs",
    "concurrent",
)
_STATUS = {
    "running": "RUNNING",
    "paused": "RUNNING",
    "complete": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}
_NOT_TAGS = frozenset({"trial", "state"})


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric; `event` is the place of its event in the ledger, from 0."""

    event: int
    key: str
    value: float
    step: int
    time_ms: int


@dataclass(slots=True)
class ProjectedRun:
    """One MLflow run as it should be."""

    name: str
    started_ms: int
    params: dict[str, str]
    tags: dict[str, str]
    points: list[Point] = field(default_factory=list)
    status: str = "RUNNING"
    ended_ms: int | None = None
    """None while its status is RUNNING."""


class RunProjection:
    """All runs of one search, from its ledger's events in their order."""

    def __init__(self) -> None:
        self.state = SearchState()
        self.runs: dict[str, ProjectedRun] = {}
        self.events = 0
        self.name = ""
        self.started = ""
        """Time of the first event: with the name it tells this search from another of that name."""
        self.best: tuple[float, str, int] = (math.inf, "", 0)
        """Lowest dev EER so far, its trial, its epoch."""
        self._in_state: Counter[str] = Counter()
        """How many trials are in each state."""
        self.reports = 0
        self._told: dict[str, set[int]] = {}
        """By trial, the epochs that have their points."""

    @property
    def experiment(self) -> str:
        """Return the name of the MLflow experiment."""
        return f"spksearch/{self.state.search.space}"

    def add(self, event: Event) -> set[str]:
        """Take in the next event; return the keys of the runs that it changed.

        Raises:
            KeyError, TypeError, ValueError, LedgerDamaged: the event lacks what its kind must have,
                or names a trial that there is not; it is counted, and otherwise left out.
        """
        place = self.events
        self.events += 1
        known, before = self._epochs_of(event), self._state_of(event)
        waited = self._waits_for()
        self.state.apply(event)
        self._in_state.update({self._state_of(event): 1})
        self._in_state.subtract({before: 1})
        is_news = False
        if isinstance(event, ReportEvent) and self._epochs_of(event) > known:
            is_news = event.epoch not in self._told.get(event.trial, ())
            if not is_news:
                self._trained_again(event)
        self.reports += is_news
        changed = self._change(event, place, is_news=is_news)
        if self._waits_for() != waited:
            changed |= self._held()
        for key in changed:
            self.runs[key].tags[CURSOR] = str(self.events)
        return changed

    def _epochs_of(self, event: Event) -> int:
        trial = self.state.trials.get(event.trial_name)
        return 0 if trial is None else len(trial.reports)

    def _state_of(self, event: Event) -> str:
        trial = self.state.trials.get(event.trial_name)
        return "" if trial is None else trial.state

    def _change(self, event: Event, place: int, *, is_news: bool) -> set[str]:
        match event:
            case SearchEvent():
                return self._settings(event)
            case TrialEvent():
                return self._add_trial(event)
            case ReportEvent() if is_news:
                return self._points(event, place) | self._show(event)
            case SegmentEvent() | ReportEvent() | CrashEvent() | DamagedEvent():
                return self._show(event)
            case EndEvent():
                return self._show(event) | self._count(event, place)
            case DriverEvent() | FinishEvent():
                return self._begin_or_finish(event)
            case PromotedEvent() | EvaluatedEvent():
                return self._add_evaluation(event, place)
        return set()  # requests, and what later versions add, are not shown in MLflow

    def _settings(self, event: SearchEvent) -> set[str]:
        settings = {
            key: as_param(value)
            for key in _SETTINGS
            if (value := getattr(event, key)) not in (None, "")
        }
        if SEARCH not in self.runs:
            self.name, self.started = event.search, event.time
            tags = {"kind": "search", "search": self.name, "started": self.started}
            tags["state"] = "running"
            started_ms = milliseconds(event.time)
            self.runs[SEARCH] = ProjectedRun(self.name, started_ms, settings, tags)
        run = self.runs[SEARCH]
        # A param can be set once only; what an extension changed is told by a tag.
        for key, value in settings.items():
            if run.params.get(key) != value:
                run.tags[f"extended_{key}"] = value
        for library, version in event.versions.items():
            run.tags[f"version_{library}"] = as_tag(version)
        return {SEARCH}

    def _add_trial(self, event: TrialEvent) -> set[str]:
        trial = event.trial
        tags = {
            "kind": "trial",
            "search": self.name,
            "started": self.started,
            "trial": trial,
            "state": self.state.trials[trial].state,
            "rung": "0",
            "origin": as_tag(event.origin),
            "signature": event.signature,
        }
        if event.log_entry is not None:
            tags["log_entry"] = as_tag(event.log_entry)
        if event.warm_start is not None:
            tags["warm_start"] = as_tag(event.warm_start.weights)
            tags["warm_start_sha256"] = event.warm_start.sha256
        params = {name: as_param(value) for name, value in event.axes.items()}
        if event.encoder_parameters is not None:
            params[SIZE] = as_param(event.encoder_parameters)
        name = run_name(trial, event.config)
        if event.log_entry is not None:
            name = f"{trial} {event.origin}"
        self.runs[trial] = ProjectedRun(name, milliseconds(event.time), params, tags)
        return {trial}

    def _points(self, event: ReportEvent, place: int) -> set[str]:
        """Add the points of an epoch, and of the best so far of the trial and of the search."""
        trial, epoch, time_ms = event.trial, event.epoch, milliseconds(event.time)
        self._told.setdefault(trial, set()).add(epoch)
        run, values = self.runs[trial], finite(event.metrics)
        run.points += [Point(place, key, values[key], epoch, time_ms) for key in values]
        eer = values.get(OBJECTIVE, math.inf)
        best = self.state.trials[trial].best()
        if best is not None and best.epoch == epoch:
            run.points.append(Point(place, "best_dev_eer", eer, epoch, time_ms))
        if eer >= self.best[0]:
            return {trial}
        self.best = (eer, trial, epoch)
        search = self.runs[SEARCH]
        search.points.append(Point(place, "best_dev_eer", eer, self.reports, time_ms))
        search.tags["best_trial"] = trial
        return {trial, SEARCH}

    def _trained_again(self, event: ReportEvent) -> None:
        """Keep the points of an epoch that is trained again, since MLflow takes none back."""
        tags = self.runs[event.trial].tags
        again = {*json.loads(tags.get("trained_again", "[]")), event.epoch}
        tags["trained_again"] = json.dumps(sorted(again))

    def _show(self, event: Event) -> set[str]:
        key = event.trial_name
        run, record = self.runs[key], self.state.trials[key]
        run.tags["state"], run.tags["rung"] = record.state, str(record.rung)
        run.tags["attempt"] = str(record.attempt)
        if record.reason:
            run.tags["reason"] = as_tag(record.reason)
        run.status = _STATUS[record.state]
        run.ended_ms = None if run.status == "RUNNING" else milliseconds(event.time)
        return {key}

    def _count(self, event: EndEvent, place: int) -> set[str]:
        """Add the search's number of trials in each state, whenever one ends."""
        point = Point(
            place,
            f"trials_{event.state}",
            self._in_state[event.state],
            self.reports,
            milliseconds(event.time),
        )
        self.runs[SEARCH].points.append(point)
        return {SEARCH}

    def _begin_or_finish(self, event: DriverEvent | FinishEvent) -> set[str]:
        run = self.runs[SEARCH]
        if isinstance(event, DriverEvent):
            run.status, run.ended_ms, run.tags["state"] = "RUNNING", None, "running"
            return {SEARCH}
        time_ms = milliseconds(event.time)
        run.tags |= {"state": "finished", "reason": as_tag(event.reason)}
        # A trial that no rule ended waits for ever at its rung: its tag says paused.
        left = {key for key, each in self.runs.items() if each.status == "RUNNING"}
        for key in left:
            self.runs[key].status, self.runs[key].ended_ms = "FINISHED", time_ms
        return left | {SEARCH}

    def _held(self) -> set[str]:
        """Show that something holds the search, or no longer does."""
        tags = self.runs[SEARCH].tags
        tags.pop(HOLD, None)
        if waits := self._waits_for():
            tags[HOLD] = as_tag(waits)
        return {SEARCH}

    def _waits_for(self) -> str:
        """Return what holds up a search that has not ended; empty if nothing does."""
        return "" if self.state.finish else "; ".join(self.state.holds.values())

    def _add_evaluation(self, event: PromotedEvent | EvaluatedEvent, place: int) -> set[str]:
        """Add a promotion or an evaluation to the trial's run: metrics, and tags for words."""
        trial = event.trial_name
        key = trial if trial in self.runs else SEARCH
        run, time_ms = self.runs[key], milliseconds(event.time)
        said = event.fields()
        values = finite(said) | (finite(event.metrics) if isinstance(event, EvaluatedEvent) else {})
        step = self.state.trials[key].epoch if key != SEARCH else self.reports
        run.points += [Point(place, name, values[name], step, time_ms) for name in values]
        for name, value in said.items():
            if isinstance(value, str) and name not in _NOT_TAGS:
                run.tags[f"{event.event}_{name}"] = as_tag(value)
        if isinstance(event, PromotedEvent):
            self.runs[SEARCH].tags["promoted_trial"] = trial
            return {key, SEARCH}
        return {key}
