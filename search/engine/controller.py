"""Drive a search: ask the scheduler what runs next, and record what happened in the ledger.

Every event is in the ledger before anyone acts on it, so a driver may die between any two lines.
The controller is the only one that records: it appends an event to the ledger and then applies it
to the state. Its components (checkpoint manager, request handler, trial factory) record nothing.
They give events:

- Where there is one event, a component returns it.
- Where effects or further decisions depend on an event, the method is a generator
  (`search.ledger.events.EventSteps`). The controller records each event that it yields before it
  resumes the generator. So what stands behind a `yield` in a component is the effect of an event
  that is on disk and in the state: a checkpoint is removed, a request is answered.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, assert_never

from search.checkpoints.manager import CheckpointManager
from search.core import restart
from search.core.lease import this_process
from search.engine.orphan_processes import OrphanProcess
from search.engine.request_handler import RequestHandler
from search.engine.result_handler import MID_EPOCH, Interruption, ResultHandler, is_current
from search.engine.trial_factory import StartPostponed, TrialFactory
from search.ledger import holds
from search.ledger.events import (
    FORMAT,
    DriverEvent,
    Event,
    EventSteps,
    FinishEvent,
    SearchEvent,
    SegmentEvent,
    StopEvent,
    TrialEvent,
)
from search.ledger.kinds import DRIVER_ENDED, InterruptReason, Strategy
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord, crash_event
from search.sampler.history import SamplerHistory
from search.scheduler.asha import Advance, find_final_outcomes, find_outcomes
from search.scheduler.next_job import (
    Done,
    NewTrial,
    Resume,
    StartQueued,
    Wait,
    choose_next_job,
    unfulfillable_requests,
)
from search.scheduler.policy import AshaPolicy, TrialOutcome
from search.scheduler.rung_index import RungIndex
from search.space.branches import Space
from spkmodel.worker.results import WorkerResult

log = logging.getLogger(__name__)

T = TypeVar("T")

SegmentSettings = Callable[[TrialRecord, int, int], dict[str, Any]]
"""From (trial, attempt, to_rung) to what the trainable is given."""


class SearchController:
    """Owns the writable ledger and the state of the search."""

    def __init__(
        self,
        ledger: Ledger,
        state: SearchState,
        space: Space,
        policy: AshaPolicy,
        settings: SegmentSettings,
        seed: int,
        strategy: Strategy,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = state
        self.why_done = ""
        """Why nothing is left to do; from then on nothing is begun, whatever is asked."""
        self.stop_now: set[str] = set()
        """Trials to be stopped in the middle of their epoch."""
        self._ledger = ledger
        self._policy = policy
        self._settings = settings
        self._requests = RequestHandler(ledger.path.parent, state, space)
        self._clock = clock
        self._began = clock()
        self._why_leaving = ""
        self.index = RungIndex(state)
        self._checkpoints = CheckpointManager(self._folder, state, clock)
        self._results = ResultHandler(self._folder, state, self._checkpoints)
        self.known = SamplerHistory(state, self.index)
        self._factory = TrialFactory(state, space, seed, strategy, self.known)

    # --- beginning and end -------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a session: attempts that an earlier driver left running count as interrupted."""
        me = this_process()
        self._began = self._clock()
        again = {"restart": number} if (number := restart.received().number) else {}
        self._record(
            DriverEvent(format=FORMAT, host=me.host, pid=me.pid, started=me.started, **again)
        )
        self._interrupt_all(DRIVER_ENDED, "driver")
        self._record_steps(self._checkpoints.begin())
        self._record_pending_ends()

    def record_orphans(self, ended: list[OrphanProcess]) -> None:
        """Record which processes of an earlier driver have been ended."""
        for each in ended:
            self._record(each.to_event())

    def finish(self) -> None:
        """Record the outcome of every trial and finish the search; it can be extended later."""
        self._interrupt_all(self.why_done or "the search was stopped")
        self._record_pending_ends()
        why = self.why_done or "stopped by hand"
        self._record_ends(
            find_final_outcomes(self.state, self._policy, why, self.index.refresh(self._policy))
        )
        totals = self.state.totals() | {"hours": round(self._spent(), 4)}
        self._record_steps(self._checkpoints.prune(last=True))
        self._record(FinishEvent(reason=why, totals=totals))
        self._requests.close()
        self._checkpoints.drain()

    def leave(self, why: str) -> None:
        """Begin to leave: the next result of each attempt is its last."""
        self._why_leaving = why

    def interrupt(self, why: str) -> None:
        """Record all running attempts as interrupted, so that they can be resumed; idempotent."""
        self._interrupt_all(why)
        self._record_pending_ends()

    # --- segments ----------------------------------------------------------------------------

    def next_segment(self) -> tuple[TrialRecord, dict[str, Any]] | Literal["wait", "done"]:
        """Decide what a free slot runs next, record it, and return it."""
        while True:
            job = choose_next_job(
                self.state, self._policy, self._spent(), self.index.refresh(self._policy)
            )
            match job:
                case Wait():
                    return "wait"
                case Done(reason):
                    self.why_done = reason
                    return "done"
            try:
                name = self._trial_of(job)
            except StartPostponed as refused:
                self._record_steps(self._checkpoints.on_refused(refused.number, refused.where))
                continue
            if name is not None:
                break
        trial = self.state.trials[name]
        self._record(
            SegmentEvent(
                trial=name,
                attempt=trial.attempt + 1,
                from_epoch=trial.epoch,
                from_step=0 if trial.partial is None else trial.partial.steps,
                to_rung=job.to_rung,
            )
        )
        return trial, self._settings(trial, trial.attempt, job.to_rung)

    def _trial_of(self, job: NewTrial | StartQueued | Resume | Advance) -> str | None:
        """Return the trial that a job is for; None if the state has changed instead."""
        match job:
            case NewTrial():
                created = self._factory.from_sampler(self._policy)
                self._record(created)
                if isinstance(created, TrialEvent):
                    return created.trial
                self._policy = AshaPolicy.from_state(self.state)
                return None
            case StartQueued(wish):
                started = self._factory.from_queue(wish)
                self._record(started)
                return started.trial if isinstance(started, TrialEvent) else None
            case Resume(name) | Advance(name):
                may_start = self._checkpoints.may_start(self.state.trials[name])
                return name if self._record_steps(may_start) else None
            case _:
                assert_never(job)

    def on_result(self, result: WorkerResult) -> bool:
        """Record a result of a training; return whether its segment is over."""
        leaving = Interruption(self._why_leaving, self._is_leaving())
        last_rung = self._policy.rungs[-1]
        over = self._record_steps(self._results.take(result, last_rung, leaving))
        self._record_pending_ends()
        return over

    def on_attempt_finished(
        self, trial: str, attempt: int, crash: str = "", kind: InterruptReason = "crash"
    ) -> None:
        """Record the end of an attempt; `crash` and `kind` say why if it died by itself."""
        record = self.state.trials[trial]
        if not is_current(record, attempt):
            return
        if crash and not record.stop_asked:
            self._record_steps(self._results.take_death(record, crash, kind))
        else:
            self._record(crash_event(record, MID_EPOCH, "stopped"))
        self._record_pending_ends()

    # --- steering ----------------------------------------------------------------------------

    def poll(self) -> None:
        """Renew the lock and apply new requests; cheap enough for every step."""
        self._ledger.keep_alive()
        if not self.why_done:
            self._apply_requests()
        self._record_steps(self._checkpoints.poll())

    def hold(self, cause: str, reason: str, by: str) -> None:
        """Start no attempt while `cause` lasts; running attempts go on to their rungs."""
        for event in holds.hold(self.state, cause, reason, by):
            self._record(event)

    def release(self, cause: str, by: str) -> None:
        """End a hold; the search goes on unless another cause holds it."""
        for event in holds.release(self.state, cause, by):
            self._record(event)

    def _apply_requests(self) -> None:
        asked = False
        for event in self._requests.poll():
            self._record(event)
            asked = True
            match event:
                case StopEvent(now=True, trial=str(name)):
                    if self.state.trials[name].live:
                        self.stop_now.add(name)
                case SearchEvent():
                    self._policy = AshaPolicy.from_state(self.state)
        if asked:
            self._record_pending_ends()

    # --- inside ------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self._ledger.path.parent

    def _record(self, event: Event) -> None:
        self.state.apply(self._ledger.append(event, uptime=self._uptime()))

    def _record_steps(self, steps: EventSteps[T]) -> T:
        """Record every event that a component yields, each before the component goes on."""
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            self._record(event)

    def _record_ends(self, due: list[TrialOutcome]) -> None:
        for end in due:
            self._record(end.to_event(self.state.trials[end.trial]))

    def _record_pending_ends(self) -> None:
        self._record_ends(find_outcomes(self.state, self._policy, self.index.refresh(self._policy)))
        for key, reason in unfulfillable_requests(self.state):
            self._record(self._factory.withdraw(key, reason))

    def _interrupt_all(self, reason: str, kind: InterruptReason = "stopped") -> None:
        for trial in self.state.trials.values():
            if trial.live:
                self._record(crash_event(trial, reason, kind))

    def _spent(self) -> float:
        return self.state.spent_hours(uptime=self._uptime())

    def _uptime(self) -> float:
        """Seconds since this driver began, by a clock that nobody sets."""
        return round(self._clock() - self._began, 3)

    def _is_leaving(self) -> bool:
        hours = self._policy.hours
        is_told = bool(self.state.search_stop or self._why_leaving)
        return is_told or (hours is not None and self._spent() >= hours)

    def __reduce__(self) -> tuple[Any, ...]:
        return (object, ())  # Tune pickles what it is given into a file that nobody reads

    def __deepcopy__(self, memo: dict[int, Any]) -> "SearchController":
        return self
