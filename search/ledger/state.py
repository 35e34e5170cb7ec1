"""What the events of a ledger add up to: pure, one event at a time.

Nothing here decides (`search.scheduler.asha`) and nothing reads a file (`search.ledger.ledger`).
"""

import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from search.core.errors import EnvironmentSetupError
from search.ledger.partials import Partial
from search.ledger.queue import QueuedTrial
from search.ledger.trial import Report, TrialRecord, cut_of, failure_of
from search.sampler import prior as priors
from search.sampler.prior import Prior

FORMAT = 2
"""Of the ledger that is written: 1 had no kinds of failures and no uptime, and did not say so."""

_NO_DRIVERS = ("search", "queued", "prior", "promoted", "evaluated")
"""Events that, in ledgers without `uptime`, were written while no driver was at work."""


@dataclass(slots=True)
class Session:
    """One driver's work, from its start to its last word."""

    began: datetime
    last: datetime
    uptime: float | None = None
    """Seconds by its own clock, which nobody sets; None: a ledger older than this."""

    @property
    def seconds(self) -> float:
        """How long it has worked, up to its last word."""
        if self.uptime is not None:
            return self.uptime
        return max(0.0, (self.last - self.began).total_seconds())


@dataclass(slots=True)
class SearchState:
    """Everything that sampler, scheduler, status and tracking go by."""

    search: dict[str, Any] = field(default_factory=dict)
    """The last `search` event: an extension replaces what it changes."""
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    queue: dict[str, QueuedTrial] = field(default_factory=dict)
    """Wishes whose turn has not come, by key, oldest first."""
    begun: dict[str, str] = field(default_factory=dict)
    """By key of a wish: the trial that it has become."""
    withdrawn: dict[str, str] = field(default_factory=dict)
    """Wishes that could not be fulfilled, and why."""
    prior: Prior | None = None
    """What was known before it began."""
    sessions: list[Session] = field(default_factory=list)
    driver: str = ""
    """Whose the last session is, as `search.requests.mailbox.identity` says."""
    stops: list[dict[str, Any]] = field(default_factory=list)
    promotions: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    """Events of kinds that a later version may write."""
    finish: dict[str, Any] | None = None
    """The `finish` event, until a driver starts again."""
    search_stop: Literal["", "stop", "now"] = ""
    """Whether the whole search was asked to stop, until a driver starts again."""
    exhausted: int | None = None
    """Trials there were when the sampler had no other config left; until a driver starts again."""
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
    def from_events(cls, events: Iterable[Mapping[str, Any]]) -> "SearchState":
        """Fold all of them."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    def touched_since(self, event: int) -> list[str]:
        """The trials that events from this number on have named, each once, in their order."""
        return [name for name in dict.fromkeys(self.touched[event:]) if name in self.trials]

    @property
    def rungs(self) -> tuple[int, ...]:
        """The ladder of the last `search` event."""
        return tuple(self.search.get("rungs", ()))

    def ranked(self) -> list[TrialRecord]:
        """Trials with a usable report, by the lowest dev EER of any epoch; of equals the earlier.

        This is what `best` means everywhere: in tables, in MLflow's `best_dev_eer`, in `promote`.
        """
        best = {name: trial.best() for name, trial in self.trials.items()}
        usable = [(report.objective, name) for name, report in best.items() if report is not None]
        return [self.trials[name] for _, name in sorted(usable)]

    def spent_hours(self, now: datetime | None = None, uptime: float | None = None) -> float:
        """How long all drivers together have worked.

        Args:
            now: when a search is looked at that another process drives; counts up to then.
            uptime: of the running driver, by its own clock, if it is this process.
        """
        # Not sum(), which rounds in another way from Python 3.12 on: one ledger, one answer.
        seconds = functools.reduce(operator.add, (each.seconds for each in self.sessions), 0.0)
        if self.sessions and self.finish is None:
            last = self.sessions[-1]
            if uptime is not None:
                seconds += max(0.0, uptime - last.seconds)
            elif now is not None:
                seconds += max(0.0, (now - last.last).total_seconds())
        return seconds / 3600

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one more event into account; an unknown kind is kept in `others`."""
        self.version += 1
        self.touched.append(event.get("trial") or "")
        if "request" in event:
            self.requests.add(event["request"])
        match event["event"]:
            case "trial":
                self._add(event)
            case "segment" | "report" | "partial" | "end" | "crash" | "removed" | "damaged":
                self._apply_to_trial(self.trials[event["trial"]], event)
            case "queued" | "withdrawn":
                self._wish(event)
            case "stop":
                self._stop(event)
            case "hold" | "release":
                self._hold(event)
            case _:
                self._apply_to_search(event)
        if self.sessions:
            self._tick(event)

    def _tick(self, event: Mapping[str, Any]) -> None:
        """A driver's event moves its session's clock on; what others write does not."""
        session = self.sessions[-1]
        if session.uptime is not None:
            if "uptime" in event:
                session.uptime = event["uptime"]
                session.last = datetime.fromisoformat(event["time"])
        elif event["event"] not in _NO_DRIVERS:
            session.last = datetime.fromisoformat(event["time"])

    # --- one trial ---------------------------------------------------------------------------

    def _add(self, event: Mapping[str, Any]) -> None:
        name = event["trial"]
        record = TrialRecord(
            trial=name,
            config=event["config"],
            axes=event["axes"],
            distributions=event["distributions"],
            signature=event["signature"],
            origin=event["origin"],
            created=event["time"],
            wish=event.get("wish", ""),
            log_entry=event.get("log_entry") or "",
            # Ledgers of the first versions lack these.
            warm_start=event.get("warm_start"),
            encoder_parameters=event.get("encoder_parameters"),
        )
        # A live view reads in another thread: a dictionary that it may walk never changes size.
        self.trials = {**self.trials, name: record}
        if record.wish:
            self.queue = {key: wish for key, wish in self.queue.items() if key != record.wish}
            self.begun[record.wish] = name

    def _apply_to_trial(self, trial: TrialRecord, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "segment":
                trial.state = "running"
                trial.reason, trial.ended_by, trial.ended = "", "", ""
                trial.failure, trial.last_cut = "", ""
                trial.attempt, trial.target = event["attempt"], event["to_rung"]
            case "report" | "partial":
                (self._report if event["event"] == "report" else self._partial)(trial, event)
            case "end":
                trial.state, trial.reason = event["state"], event["reason"]
                trial.ended_by, trial.ended = event["by"], event["time"]
                trial.ended_in = len(self.sessions)
                if trial.state == "failed":
                    trial.failure = failure_of(event)
            case "crash" if trial.live and event["attempt"] == trial.attempt:
                trial.state, trial.reason = "paused", event["reason"]
                trial.crashes += event["counts"]
                cut = cut_of(event)
                trial.cuts = {**trial.cuts, cut: trial.cuts.get(cut, 0) + 1}
                trial.last_cut = cut
                trial.refusals += cut == "storage"
            case "removed":
                self._remove(trial, event)
            case "damaged":
                self._damage(trial, event)
            case _:
                self.refused += 1

    def _remove(self, trial: TrialRecord, event: Mapping[str, Any]) -> None:
        trial.removed |= set(event["checkpoints"])
        left = (each for each in trial.superseded if each.checkpoint not in trial.removed)
        trial.superseded = tuple(left)
        past = (each for each in trial.past_partials if each.checkpoint not in trial.removed)
        trial.past_partials = tuple(past)
        if trial.partial is not None and trial.partial.checkpoint in trial.removed:
            trial.partial = None
        self.checkpoint_bytes -= event["bytes"]

    def _damage(self, trial: TrialRecord, event: Mapping[str, Any]) -> None:
        """What was trained after the epoch that the trial goes on from counts as not there."""
        trial.damaged |= {event["checkpoint"]}
        kept = {e: report for e, report in trial.reports.items() if e <= event["from_epoch"]}
        lost = [report for epoch, report in trial.reports.items() if epoch not in kept]
        trial.superseded = (*trial.superseded, *lost)
        trial.reports = kept
        part = trial.partial
        if part is not None and (
            part.checkpoint in trial.damaged or part.epoch > event["from_epoch"] + 1
        ):
            _pass(trial)
        trial.rung = max((rung for rung in self.rungs if rung in kept), default=0)

    def _report(self, trial: TrialRecord, event: Mapping[str, Any]) -> None:
        epoch = event["epoch"]
        if not trial.live or event["attempt"] != trial.attempt:
            self.refused += 1
            return
        if epoch in trial.reports:
            self.repeated += 1
            return
        report = Report(
            epoch=epoch,
            time=event["time"],
            metrics=event["metrics"],
            seconds=event["seconds"],
            checkpoint=event["checkpoint"],
            sha256=event["sha256"],
            attempt=event["attempt"],
            bytes=event.get("bytes"),
            gpu_share=event.get("gpu_share", 0.0),
        )
        trial.reports, trial.refusals = {**trial.reports, epoch: report}, 0
        _pass(trial)
        self.checkpoint_bytes += report.bytes or 0
        self.largest_checkpoint = max(self.largest_checkpoint, report.bytes or 0)
        if epoch in self.rungs:
            trial.rung = max(trial.rung, epoch)
        if epoch >= trial.target:
            trial.state = "paused"

    def _partial(self, trial: TrialRecord, event: Mapping[str, Any]) -> None:
        """Taken of the last attempt, and after it was cut: a word to leave is answered late."""
        part = Partial.of_event(event)
        is_open = trial.state in ("running", "paused")
        if not is_open or part.attempt != trial.attempt or part.epoch != trial.epoch + 1:
            self.refused += 1
            return
        _pass(trial)
        trial.partial = part
        self.checkpoint_bytes += part.bytes or 0
        self.largest_checkpoint = max(self.largest_checkpoint, part.bytes or 0)

    # --- the whole ---------------------------------------------------------------------------

    def _wish(self, event: Mapping[str, Any]) -> None:
        key = event["key"]
        if event["event"] == "withdrawn":
            self.queue = {each: wish for each, wish in self.queue.items() if each != key}
            self.withdrawn[key] = event["reason"]
        elif key in self.queue or key in self.begun:
            self.repeated += 1
        else:
            fields = QueuedTrial.__dataclass_fields__
            self.queue = {**self.queue, key: QueuedTrial(**{name: event[name] for name in fields})}
            self.withdrawn.pop(key, None)

    def _stop(self, event: Mapping[str, Any]) -> None:
        self.stops.append(dict(event))
        if event["trial"] is None:
            self.search_stop = "now" if event["now"] else "stop"
        else:
            self.trials[event["trial"]].stop_asked = True

    def _hold(self, event: Mapping[str, Any]) -> None:
        others = {cause: why for cause, why in self.holds.items() if cause != event["cause"]}
        held = {event["cause"]: event["reason"]} if event["event"] == "hold" else {}
        self.holds = {**others, **held}

    def _set_down(self, settings: Mapping[str, Any]) -> None:
        self.search.update(settings)
        self.exhausted = None
        for trial in self.trials.values():
            trial.rung = max((r for r in self.rungs if r in trial.reports), default=0)

    def _apply_to_search(self, event: Mapping[str, Any]) -> None:
        _check_format(event)
        match event["event"]:
            case "search":
                self._set_down(event)
            case "driver":
                moment = datetime.fromisoformat(event["time"])
                self.sessions.append(Session(moment, moment, event.get("uptime")))
                whose = (event.get(part, "") for part in ("host", "pid", "started"))
                self.driver = " ".join(map(str, whose))
                self.finish, self.search_stop, self.holds = None, "", {}
                self.exhausted = None
            case "exhausted":
                self.exhausted = event["trials"]
            case "finish":
                self.finish, self.holds = dict(event), {}
            case "prior":
                self.prior = priors.of_event(event)
            case "promoted":
                self.promotions.append(dict(event))
            case "evaluated":
                self.evaluations.append(dict(event))
            case _:
                self.others.append(dict(event))


def _pass(trial: TrialRecord) -> None:
    """Nobody goes on from the partial checkpoint any more."""
    if trial.partial is not None:
        trial.past_partials = (*trial.past_partials, trial.partial)
        trial.partial = None


def _check_format(event: Mapping[str, Any]) -> None:
    """Events that say their format are `search` and `driver`; the first versions said none."""
    if event["event"] in ("search", "driver") and event.get("format", 1) > FORMAT:
        raise EnvironmentSetupError(
            f"search {event['search']!r} was written by a later version of spksearch (format "
            f"{event['format']}; this one knows up to {FORMAT}): go on with that version, or "
            "launch under another --name"
        )
