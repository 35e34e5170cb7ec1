"""Check attempts: each resumes where the last one ended, and repeats the same values."""

from collections import defaultdict
from typing import TYPE_CHECKING

from bench.chaos.evidence import Evidence
from search.ledger.events import (
    PartialEvent,
    ReportEvent,
    SegmentEvent,
)
from search.ledger.kinds import OBJECTIVE
from search.ledger.report import Partial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord

if TYPE_CHECKING:
    pass


def attempts_resume_in_order(evidence: Evidence) -> list[str]:
    """Every attempt begins at a checkpoint, goes on epoch by epoch, and runs alone."""
    state, wrong = SearchState(), []
    following: dict[str, int] = {}
    for event in evidence.events:
        if isinstance(event, SegmentEvent):
            trial = state.trials[event.trial]
            wrong += _wrong_beginning(event, trial.attempt, trial.epoch, trial.live)
            # Where the newest checkpoints were removed, some epochs are trained again.
            start = trial.resume_point
            following[trial.trial] = 1 if start is None else start.next_epoch
            step = start.steps if isinstance(start, Partial) else 0
            if event.from_step != step:
                wrong.append(
                    f"{trial.trial}: went on from step {event.from_step}, it had come to {step}"
                )
        elif isinstance(event, ReportEvent):
            trial = state.trials[event.trial]
            if not trial.live or event.attempt != trial.attempt:
                wrong.append(f"{trial.trial}: a word of attempt {event.attempt}, which was over")
            elif event.epoch != following[trial.trial]:
                wrong.append(
                    f"{trial.trial}: epoch {event.epoch} reported where "
                    f"{following[trial.trial]} was due"
                )
            following[trial.trial] = event.epoch + 1
        elif isinstance(event, PartialEvent):
            wrong += _wrong_part(event, state.trials[event.trial])
        state.apply(event)
    return wrong


def _wrong_beginning(event: SegmentEvent, attempt: int, epoch: int, live: bool) -> list[str]:
    wrong, name = [], event.trial
    if live:
        wrong.append(f"{name}: attempt {event.attempt} began beside attempt {attempt}")
    if event.attempt != attempt + 1:
        wrong.append(f"{name}: attempt {event.attempt} came after {attempt}")
    if event.from_epoch > epoch:
        wrong.append(f"{name}: went on from epoch {event.from_epoch}, the last was {epoch}")
    return wrong


def _wrong_part(event: PartialEvent, trial: TrialRecord) -> list[str]:
    """Return what is wrong with a partial checkpoint: its attempt, its epoch, its steps."""
    name, before = trial.trial, 0 if trial.partial is None else trial.partial.steps
    if event.attempt != trial.attempt:
        return [f"{name}: a part of attempt {event.attempt}, the last was {trial.attempt}"]
    if event.epoch != trial.epoch + 1:
        return [f"{name}: a part of epoch {event.epoch}, {trial.epoch + 1} was due"]
    if not before < event.steps <= event.of:
        return [f"{name}: {event.steps} of {event.of} steps came after {before}"]
    return []


def repeated_epochs_agree(evidence: Evidence) -> list[str]:
    """An epoch that was trained again has the same value."""
    values: dict[tuple[str, int], set[float]] = defaultdict(set)
    for event in evidence.events:
        if isinstance(event, ReportEvent):
            values[event.trial, event.epoch].add(event.metrics[OBJECTIVE])
    return [
        f"{trial} epoch {epoch} was reported as {sorted(each)}"
        for (trial, epoch), each in values.items()
        if len(each) > 1
    ]
