"""What the events of a ledger add up to: pure, one event at a time.

Nothing here decides (`search.scheduler`) and nothing reads a file (`search.ledger`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from search import priors
from search.errors import EnvironmentProblem
from search.partials import Partial
from search.priors import Prior
from search.wishes import Wish

TrialState = Literal["running", "paused", "complete", "stopped", "failed", "killed"]

Cut = Literal[
    "crash", "out_of_memory", "hang", "lost_node", "preempted", "driver", "stopped", "storage"
]
"""Why an attempt was cut short."""

COUNTED: frozenset[Cut] = frozenset({"crash", "out_of_memory", "hang"})
"""Cuts that use up a retry; the others are not the trial's doing."""

DRIVER_ENDED = "its driver ended"
"""Why an attempt was cut short whose driver is no more."""

Failure = Literal["diverged", "collapsed", "out_of_memory", "crash", "hang", "lost_node", "storage"]
"""Why a trial failed for good."""

FORMAT = 2
"""Of the ledger that is written: 1 had no kinds of failures and no uptime, and did not say so."""

OBJECTIVE = "dev_eer"
"""The metric that chooses; lower is better."""

SIZE = "encoder_parameters"
"""What a search may want low beside it."""

_NO_DRIVERS = ("search", "queued", "prior", "promoted", "evaluated")
"""Events that, in ledgers without `uptime`, were written while no driver was at work."""


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
    """Of the checkpoint; None: not said, as in ledgers older than this."""
    gpu_share: float = 0.0
    """The most of its GPU's memory that it held, as a fraction; 0 without a GPU."""

    @property
    def next_epoch(self) -> int:
        """The epoch that whoever goes on from here reports first."""
        return self.epoch + 1

    @property
    def objective(self) -> float:
        """The dev EER; infinite if there is none that can be compared."""
        value = self.metrics.get(OBJECTIVE, math.inf)
        return value if math.isfinite(value) else math.inf


@dataclass(slots=True)
class TrialRecord:
    """One trial as the ledger knows it."""

    trial: str
    config: dict[str, Any]
    axes: dict[str, Any]
    distributions: dict[str, str]
    signature: str
    origin: str
    created: str
    wish: str = ""
    """Key of the wish that it fulfils; empty: the sampler's idea."""
    log_entry: str = ""
    """The entry of a notebook that it is."""
    warm_start: Mapping[str, str] | None = None
    """Whose weights it starts from: `weights` as the config says, `checkpoint`, `sha256`."""
    encoder_parameters: int | None = None
    """Weights of the encoder, the loss's head not included; None: a ledger older than this."""
    reports: dict[int, Report] = field(default_factory=dict)
    """By epoch, counted from 1."""
    removed: frozenset[str] = frozenset()
    """Checkpoints that were removed to save space; what they measured stands."""
    damaged: frozenset[str] = frozenset()
    """Checkpoints that were missing or not what was recorded."""
    superseded: tuple[Report, ...] = ()
    """Reports after a damaged checkpoint: these epochs are trained again."""
    partial: Partial | None = None
    """How far the epoch under way had come when that was last written down; None: it was not."""
    past_partials: tuple[Partial, ...] = ()
    """Such checkpoints that nobody goes on from any more, and that are not removed yet."""
    state: TrialState = "paused"
    reason: str = ""
    """Why it ended, or why its last attempt was cut short."""
    ended_by: str = ""
    """Of an ended trial: "rule", "budget", "user", "failure"."""
    ended: str = ""
    """When it ended."""
    ended_in: int = 0
    """Number of the session in which it ended."""
    failure: Failure | Literal[""] = ""
    """Of a failed trial: what it was."""
    rung: int = 0
    """The highest rung with a result, as its epoch; 0 before the first."""
    target: int = 0
    """The epoch its last segment aims, or aimed, at."""
    attempt: int = 0
    """Number of its last start; words of an earlier one are refused."""
    crashes: int = 0
    """Attempts that died of themselves; those that a dead driver took along do not count."""
    cuts: dict[str, int] = field(default_factory=dict)
    """Attempts that were cut short, by `Cut`; those that count and those that do not."""
    refusals: int = 0
    """Attempts, since its last epoch, that a storage in the way has cut short."""
    last_cut: Cut | Literal[""] = ""
    """Why the last attempt was cut short; empty if it was not."""
    stop_asked: bool = False

    @property
    def live(self) -> bool:
        """Whether an attempt is under way."""
        return self.state == "running"

    @property
    def wants_room(self) -> bool:
        """Whether its last attempt ran out of memory."""
        return self.state == "paused" and self.last_cut == "out_of_memory"

    @property
    def epoch(self) -> int:
        """Epochs trained and recorded."""
        return max(self.reports, default=0)

    @property
    def last(self) -> Report | None:
        """The newest epoch."""
        return self.reports[self.epoch] if self.reports else None

    def has_checkpoint(self, report: Report | Partial) -> bool:
        """Whether its checkpoint is still to be there, and sound as far as is known."""
        return report.checkpoint not in self.removed and report.checkpoint not in self.damaged

    def recorded(self) -> Iterator[Report | Partial]:
        """All whose checkpoints may be there, sound or not, needed or not."""
        yield from self.reports.values()
        yield from self.superseded
        yield from self.past_partials
        if self.partial is not None:
            yield self.partial

    @property
    def goes_on_from(self) -> Report | Partial | None:
        """The newest checkpoint, of an epoch or of a part of one; None: it can only begin again."""
        if self.partial is not None and self.has_checkpoint(self.partial):
            return self.partial
        epochs = sorted(self.reports, reverse=True)
        here = (self.reports[epoch] for epoch in epochs)
        return next((report for report in here if self.has_checkpoint(report)), None)

    def best(self) -> Report | None:
        """The epoch with the lowest dev EER, the earliest of equals; None without a usable one."""
        usable = [report for report in self.reports.values() if report.objective < math.inf]
        return min(usable, key=lambda report: (report.objective, report.epoch), default=None)

    def sizes(self, objectives: tuple[str, ...]) -> tuple[float, ...]:
        """Its value of every objective that is none of its training; infinite if not known."""
        assert set(objectives) <= {SIZE}, objectives
        known = self.encoder_parameters
        return tuple(math.inf if known is None else float(known) for _ in objectives)

    def at(self, epoch: int) -> float:
        """The dev EER of an epoch; infinite if it is missing or not finite."""
        report = self.reports.get(epoch)
        return math.inf if report is None else report.objective


def cut_short(trial: TrialRecord, reason: str, kind: Cut) -> dict[str, Any]:
    """The fields of the `crash` event that cuts a trial's attempt short."""
    return {
        "trial": trial.trial,
        "attempt": trial.attempt,
        "reason": reason,
        "kind": kind,
        "counts": kind in COUNTED,
    }


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
    queue: dict[str, Wish] = field(default_factory=dict)
    """Wishes whose turn has not come, by key, oldest first."""
    begun: dict[str, str] = field(default_factory=dict)
    """By key of a wish: the trial that it has become."""
    withdrawn: dict[str, str] = field(default_factory=dict)
    """Wishes that could not be fulfilled, and why."""
    prior: Prior | None = None
    """What was known before it began."""
    sessions: list[Session] = field(default_factory=list)
    driver: str = ""
    """Whose the last session is, as `search.control.identity` says."""
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
        seconds = sum(each.seconds for each in self.sessions)
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
                    trial.failure = event["kind"] if "kind" in event else _failure(trial.reason)
            case "crash" if trial.live and event["attempt"] == trial.attempt:
                trial.state, trial.reason = "paused", event["reason"]
                trial.crashes += event["counts"]
                cut: Cut = event["kind"] if "kind" in event else _cut(event)
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
            fields = Wish.__dataclass_fields__
            self.queue = {**self.queue, key: Wish(**{name: event[name] for name in fields})}
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
        raise EnvironmentProblem(
            f"search {event['search']!r} was written by a later version of spksearch (format "
            f"{event['format']}; this one knows up to {FORMAT}): go on with that version, or "
            "launch under another --name"
        )


# --- ledgers of the first versions, whose crashes and ends have no kind ----------------------


def _cut(event: Mapping[str, Any]) -> Cut:
    if event["counts"]:
        return "crash"
    return "driver" if event["reason"] == DRIVER_ENDED else "stopped"


def _failure(reason: str) -> Failure:
    if reason.startswith("diverged"):
        return "diverged"
    return "collapsed" if reason.startswith("collapsed") else "crash"
