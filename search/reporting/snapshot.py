"""Compute a snapshot of a search: the numbers that a live view, `status` and programs show."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from search.checkpoints.retention import limit_bytes
from search.cluster import gpu_memory
from search.ledger.events import SearchEvent
from search.ledger.report import Report
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting import remaining_time
from spkmodel.core.shell import quote_path

ENDED = ("complete", "stopped", "failed", "killed")


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch of the best trial."""

    trial: str
    epoch: int
    dev_eer: float
    low: float | None
    high: float | None
    axes: Mapping[str, Any]
    speakers: int | None = None
    """Of the dev pairs, by which the interval goes; None in ledgers of before 0.2.0."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial that is training."""

    trial: str
    epoch: int
    target: int
    dev_eer: float | None
    curve: tuple[float, ...] = ()
    """The dev EER of every epoch so far; not in the JSON document."""


@dataclass(frozen=True)
class Snapshot:
    """A search at one moment: all numbers that a live view or `status` shows."""

    name: str
    space: str
    state: str
    reason: str
    elapsed_seconds: float
    counts: Mapping[str, int]
    started_trials: int
    budget_trials: int | None
    waiting: int
    """Queued trials that have not begun."""
    rungs: tuple[tuple[int, int], ...]
    """Each rung's epoch, and how many trials have reached it."""
    best: BestEpoch | None
    running: tuple[RunningTrial, ...]
    failures: tuple[tuple[str, str], ...]
    """Failed trials and why."""
    crashes: int
    """Attempts that died; each was, or is, tried again up to a limit."""
    epochs: int
    epochs_per_minute: float | None
    eta_seconds: float | None
    holds: Mapping[str, str] = field(default_factory=dict)
    """By cause, why a running search starts nothing new."""
    warning: str = ""
    """A problem that a person should check although the search goes on."""
    checkpoint_bytes: int = 0
    """Disk that checkpoints use, as far as the ledger knows their sizes."""
    checkpoint_limit_bytes: int | None = None
    """What `--disk-gb` allows them."""
    tracker: str = ""
    address: str = ""
    commands: tuple[str, ...] = field(default=())


def take_snapshot(
    state: SearchState,
    tracker_health: str = "",
    address: str = "",
    started: float | None = None,
    now: float | None = None,
    status: str | None = None,
) -> Snapshot:
    """Return a snapshot of a search.

    Args:
        state: the search, read from its ledger.
        tracker_health: a few words on the tracking server.
        address: where the search can be browsed.
        started: Unix time since when the speed is measured; by default the last driver's start.
        now: Unix time, by default the clock's.
        status: starting, running, interrupted or finished; by default what the ledger alone can
            tell.
    """
    now = time.time() if now is None else now
    status = status or ("finished" if state.finish else "running")
    trials = list(state.trials.values())
    started = _last_start(state) if started is None else started
    # Seconds on hold are no work.
    working = now - (state.sessions[-1].seconds_on_hold(now) if state.sessions else 0.0)
    speed = _epochs_per_minute(trials, started, working) if status == "running" else None
    done = sum(len(trial.reports) for trial in trials)
    spent = state.spent_hours(datetime.fromtimestamp(now, UTC) if status == "running" else None)
    name = state.search.search
    return Snapshot(
        name=name,
        space=state.search.space,
        state=status,
        reason=_reason(state, status),
        elapsed_seconds=spent * 3600,
        counts=dict(Counter(displayed_state(trial, status) for trial in trials)),
        started_trials=len(trials),
        budget_trials=_planned_trials(state),
        waiting=len(state.queue),
        rungs=tuple((rung, sum(rung in t.reports for t in trials)) for rung in state.rungs),
        best=find_best(state),
        running=tuple(_running_trial(t) for t in trials if t.live and status == "running"),
        failures=tuple((t.trial, t.reason) for t in trials if t.state == "failed"),
        crashes=sum(trial.crashes for trial in trials),
        epochs=done,
        epochs_per_minute=speed,
        eta_seconds=_estimate_seconds_left(state, spent * 3600, now)
        if status == "running"
        else None,
        holds=state.holds if status == "running" else {},
        warning=gpu_memory.describe_overuse(state),
        checkpoint_bytes=state.checkpoint_bytes,
        checkpoint_limit_bytes=limit_bytes(state),
        tracker=tracker_health,
        address=address,
        commands=_commands(state, status),
    )


def _reason(state: SearchState, status: str) -> str:
    """Return why the search ended, is about to, or is not at work."""
    if status == "finished":
        return state.finish.reason if state.finish else ""
    if status != "running" and state.cluster_loss is not None:
        is_restarted = status == "starting" and state.cluster_loss.restart
        return state.cluster_loss.reason + ("; Ray is started again" if is_restarted else "")
    return "asked to stop" if status == "running" and state.search_stop else ""


def displayed_state(trial: TrialRecord, status: str) -> str:
    """Return a trial's state; `interrupted` for one that a dead driver left running."""
    return "interrupted" if trial.live and status != "running" else trial.state


def suggest_commands(search: SearchEvent, status: str) -> tuple[str, ...]:
    """Return the commands that a person is likely to type next, from the search's settings."""
    name = search.search
    front = (f"spksearch trials {name} --pareto",) if len(search.objectives) > 1 else ()
    browse = (f"spksearch trials {name}", *front, f"spksearch ui {name}")
    match status:
        case "starting" | "running":
            return (*browse, f"spksearch stop {name}")
        case "interrupted":
            return (*browse, format_resume_command(search))
        case _:
            return (*browse, f"spksearch promote {name}")


def _commands(state: SearchState, status: str) -> tuple[str, ...]:
    resume = (f"spksearch resume {state.search.search}",)
    is_paused = status == "running" and "user" in state.holds
    commands = (*(resume if is_paused else ()), *suggest_commands(state.search, status))
    # Who stopped it may want to go on with it.
    return (
        (*commands, format_resume_command(state.search))
        if status == "finished" and state.search_stop
        else commands
    )


def format_resume_command(search: SearchEvent) -> str:
    """Return the command that resumes a search."""
    name, space = search.search, search.space
    if search.replay is not None:
        return f"{search.replay.command} --name {name}"
    source = quote_path(search.space_file or space)
    return f"spksearch launch {source}" + ("" if name == space else f" --name {name}")


def find_best(state: SearchState) -> BestEpoch | None:
    """Return the best epoch of the best trial; None without a result."""
    trial = next(iter(state.ranked()), None)
    report = trial.best() if trial is not None else None
    if trial is None or report is None:
        return None
    return BestEpoch(
        trial.trial,
        report.epoch,
        *read_dev_eer(report),
        axes=trial.axes,
        speakers=read_dev_speakers(report),
    )


def read_dev_eer(report: Report) -> tuple[float, float | None, float | None]:
    """Return the dev EER of an epoch and the bounds of its interval, as fractions."""
    metrics = report.metrics
    return metrics["dev_eer"], metrics.get("dev_eer_low"), metrics.get("dev_eer_high")


def read_dev_speakers(report: Report) -> int | None:
    """Return how many speakers the dev pairs of an epoch had, if it was recorded."""
    speakers = report.metrics.get("dev_speakers")
    return None if speakers is None else round(speakers)


def estimate_epochs(rungs: Sequence[int], eta: int, trials: int, finalists: int = 1) -> int:
    """Return the epochs that a search trains if a share of 1/eta advances from each rung."""
    epochs, below, remaining = 0, 0, trials
    for rung in rungs:
        if rung == rungs[-1]:
            remaining = max(remaining, min(finalists, trials))
        epochs += remaining * (rung - below)
        below, remaining = rung, math.ceil(remaining / eta)
    return epochs


def to_unix_time(text: str) -> float:
    """Return the Unix time of a time in the ledger."""
    return datetime.fromisoformat(text).timestamp()


def _epochs_per_minute(trials: list[TrialRecord], since: float, now: float) -> float | None:
    new = sum(to_unix_time(r.time) >= since for trial in trials for r in trial.reports.values())
    return new / (now - since) * 60 if new and now > since else None


def _planned_trials(state: SearchState) -> int | None:
    """Return how many trials there will be; queued ones are tried whatever the budget is."""
    trials = state.search.trials
    return None if trials is None else max(trials, len(state.trials) + len(state.queue))


def _estimate_seconds_left(state: SearchState, spent: float, now: float) -> float | None:
    """Return the predicted seconds to the end, or to the end of the hours if that comes first."""
    planned = _planned_trials(state)
    if planned is None:
        return None
    seconds = remaining_time.estimate_seconds_left(state, planned, now)
    hours = state.search.hours
    return (
        seconds
        if seconds is None or hours is None
        else max(0.0, min(seconds, hours * 3600 - spent))
    )


def _last_start(state: SearchState) -> float:
    return (
        state.sessions[-1].began.timestamp() if state.sessions else to_unix_time(state.search.time)
    )


def _running_trial(trial: TrialRecord) -> RunningTrial:
    last = trial.last
    return RunningTrial(
        trial=trial.trial,
        epoch=trial.epoch,
        target=trial.target,
        dev_eer=last.metrics.get("dev_eer") if last else None,
        curve=tuple(trial.at(epoch) for epoch in sorted(trial.reports) if trial.at(epoch) <= 1),
    )
