"""What a search's one driver does, whatever runs its segments: asks the rule, writes the ledger.

Every word is in the ledger before anyone acts on it, so a driver may die between any two lines.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, assert_never

from search.checkpoints import storage_health
from search.checkpoints.manager import CheckpointManager
from search.core.lease import this_process
from search.engine.orphan_processes import OrphanProcess
from search.engine.request_handler import RequestHandler
from search.engine.trial_factory import NotNow, TrialFactory
from search.ledger.ledger import Ledger
from search.ledger.state import FORMAT, SearchState
from search.ledger.trial import DRIVER_ENDED, Failure, InterruptReason, TrialRecord, cut_short
from search.sampler import sampler
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
from search.scheduler.policy import AshaPolicy, TrialOutcome, is_open
from search.scheduler.rung_index import RungIndex
from search.space.branches import Space

log = logging.getLogger(__name__)

SegmentSettings = Callable[[TrialRecord, int, int], dict[str, Any]]
"""From (trial, attempt, to_rung) to what the trainable is given."""


class SearchController:
    """Holds the one writable ledger and the state that it adds up to."""

    def __init__(
        self,
        ledger: Ledger,
        state: SearchState,
        space: Space,
        policy: AshaPolicy,
        settings: SegmentSettings,
        seed: int,
        kind: sampler.Kind,
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
        self._requests = RequestHandler(ledger.path.parent, state, space, self._record)
        self._clock = clock
        self._began = clock()
        self._why_leaving = ""
        self.index = RungIndex(state)
        self._checkpoints = CheckpointManager(
            self._folder, state, self._record, self.hold, self.release, clock
        )
        self.known = SamplerHistory(state, self.index)
        self._beginnings = TrialFactory(state, space, seed, kind, self.known, self._record)

    # --- beginning and end -------------------------------------------------------------------

    def begin(self) -> None:
        """Take over: what an earlier driver left running counts as interrupted."""
        me = this_process()
        self._began = self._clock()
        self._record("driver", format=FORMAT, host=me.host, pid=me.pid, started=me.started)
        self._interrupt_all(DRIVER_ENDED, "driver")
        self._checkpoints.begin()
        self._record_pending_ends()

    def note_leftovers(self, ended: list[OrphanProcess]) -> None:
        """Write down which processes of an earlier driver have been ended."""
        for each in ended:
            self._record("leftover", **each.event())

    def finish(self) -> None:
        """Give every trial its end and close the search, until it is extended."""
        self._interrupt_all(self.why_done or "the search was stopped")
        self._record_pending_ends()
        why = self.why_done or "stopped by hand"
        self._record_ends(
            find_final_outcomes(self.state, self._policy, why, self.index.refresh(self._policy))
        )
        trials = self.state.trials.values()
        totals = {
            "trials": len(trials),
            "complete": sum(trial.state == "complete" for trial in trials),
            "failed": sum(trial.state == "failed" for trial in trials),
            "epochs": sum(len(trial.reports) for trial in trials),
            "hours": round(self._spent(), 4),
        }
        self._checkpoints.prune(last=True)
        self._record("finish", reason=why, totals=totals)
        self._requests.close()
        self._checkpoints.drain()

    def leave(self, why: str) -> None:
        """What an attempt says from now on is its last word."""
        self._why_leaving = why

    def interrupt(self, why: str) -> None:
        """Cut what is running, so that it can be resumed; said twice, it is done once."""
        self._interrupt_all(why)
        self._record_pending_ends()

    # --- segments ----------------------------------------------------------------------------

    def next_segment(self) -> tuple[TrialRecord, dict[str, Any]] | Literal["wait", "done"]:
        """Decide, write it down, and say what to run."""
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
            except NotNow as away:
                self._checkpoints.refused(away.number, away.where)
                continue
            if name is not None:
                break
        trial = self.state.trials[name]
        self._record(
            "segment",
            trial=name,
            attempt=trial.attempt + 1,
            from_epoch=trial.epoch,
            from_step=0 if trial.partial is None else trial.partial.steps,
            to_rung=job.to_rung,
        )
        return trial, self._settings(trial, trial.attempt, job.to_rung)

    def _trial_of(self, job: NewTrial | StartQueued | Resume | Advance) -> str | None:
        """The trial that a job is for; None if it came to nothing, and the state to something."""
        match job:
            case NewTrial():
                name = self._beginnings.of_sampler(self._policy)
                if name is None:
                    self._record("exhausted", trials=len(self.state.trials))
                    self._policy = AshaPolicy.from_state(self.state)
                return name
            case StartQueued(wish):
                return self._beginnings.of_wish(wish)
            case Resume(name) | Advance(name):
                return name if self._checkpoints.may_start(self.state.trials[name]) else None
            case _:
                assert_never(job)

    def report(self, result: Mapping[str, Any]) -> bool:
        """Take the result of an epoch, or of a part of one; whether its segment is over."""
        trial = self.state.trials[result["trial"]]
        if result.get("left_steps"):
            return self._take_part(trial, result)
        if not self._is_current_attempt(trial, result["attempt"]):
            log.warning("refused a late word of %s, attempt %d", trial.trial, result["attempt"])
            return True
        if self._storage_failed(trial, result):
            return True
        metrics = {
            key.removeprefix("metrics/"): value
            for key, value in result.items()
            if key.startswith("metrics/")
        }
        failure = result["failure"] or _not_finite(metrics, result["epoch"])
        if failure:
            kind: Failure = "collapsed" if failure.startswith("collapsed") else "diverged"
            self._record_ends([TrialOutcome(trial.trial, "failed", failure, "failure", kind)])
            return True
        gpu_share = result.get("gpu_share", 0.0)
        self._record_checkpoint("report", trial, result, metrics=metrics, gpu_share=gpu_share)
        self._checkpoints.accepted()
        if trial.live and (trial.stop_asked or self._is_leaving()):
            self._interrupt_attempt(trial, self._why_leaving or "stopped between two epochs")
        elif trial.live and trial.epoch >= self._policy.rungs[-1]:
            self._interrupt_attempt(trial, "the budget of epochs was lowered")
        self._record_pending_ends()
        return not trial.live

    def _take_part(self, trial: TrialRecord, result: Mapping[str, Any]) -> bool:
        """A checkpoint in the middle of an epoch; whether its segment is over.

        The last attempt may still bring one after it was cut: it was told to, and took its time.
        """
        is_last = is_open(trial) and trial.attempt == result["attempt"]
        if not is_last or result["epoch"] != trial.epoch + 1:
            log.warning("refused a late part of %s, attempt %d", trial.trial, result["attempt"])
            return True
        steps, of = result["left_steps"], result["left_of"]
        self._record_checkpoint("partial", trial, result, steps=steps, of=of)
        self._checkpoints.accepted()
        if trial.live and (result["end"] or self._why_leaving):
            self._interrupt_attempt(trial, self._why_leaving or "stopped in the middle of an epoch")
        self._record_pending_ends()
        return not trial.live

    def on_attempt_finished(
        self, trial: str, attempt: int, crash: str = "", kind: InterruptReason = "crash"
    ) -> None:
        """An attempt will say no more; `crash` and `kind` tell why if it died of itself."""
        record = self.state.trials[trial]
        if not self._is_current_attempt(record, attempt):
            return
        if crash and not record.stop_asked:
            log.warning("trial %s, attempt %d crashed: %s", trial, attempt, crash)
            self._interrupt_attempt(record, crash, kind)
            if kind == "storage":
                number = storage_health.error_number(crash)
                self._checkpoints.refused(number, f"{trial} cannot write or read what it must")
        else:
            self._interrupt_attempt(record, "stopped in the middle of an epoch")
        self._record_pending_ends()

    # --- steering ----------------------------------------------------------------------------

    def poll(self) -> None:
        """Keep the lock and carry out what was asked for; cheap enough for every step."""
        self._ledger.keep_alive()
        asked = [] if self.why_done else self._requests.look()
        for event, fields in asked:
            self._apply_request(event, fields)
        if asked:
            self._record_pending_ends()
        self._checkpoints.look()

    def hold(self, cause: str, reason: str, by: str) -> None:
        """Start nothing new while `cause` lasts; what is running goes on to its rung."""
        if cause not in self.state.holds:
            log.info("on hold: %s", reason)
            self._record("hold", cause=cause, reason=reason, by=by)

    def release(self, cause: str, by: str) -> None:
        """The cause is gone; where no other one holds, work goes on."""
        if cause in self.state.holds:
            log.info("no longer on hold: %s", self.state.holds[cause])
            self._record("release", cause=cause, by=by)

    def _apply_request(self, event: str, fields: Mapping[str, Any]) -> None:
        """Apply a request that has already been recorded."""
        match event:
            case "stop" if fields["now"] and fields["trial"] is not None:
                if self.state.trials[fields["trial"]].live:
                    self.stop_now.add(fields["trial"])
            case "search":
                self._policy = AshaPolicy.from_state(self.state)

    def _storage_failed(self, trial: TrialRecord, result: Mapping[str, Any]) -> bool:
        """Whether an attempt could not read or not write its checkpoint, which is no fault of it.

        Trainables that say nothing of either leave both keys out.
        """
        damage, number = result.get("damaged", ""), result.get("storage_errno", 0)
        if not damage and not number:
            return False
        if damage:
            self._interrupt_attempt(trial, f"its checkpoint cannot be used: {damage}", "storage")
            self._checkpoints.found_damaged(trial, damage)
        else:
            self._interrupt_attempt(
                trial, f"its checkpoint cannot be written: {os.strerror(number)}", "storage"
            )
            self._checkpoints.refused(number, f"a checkpoint of {trial.trial} cannot be written")
        self._record_pending_ends()
        return True

    # --- inside ------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self._ledger.path.parent

    def _record(self, event: str, **fields: Any) -> None:
        self.state.apply(self._ledger.append(event, **fields, uptime=self._uptime()))

    def _record_checkpoint(
        self, event: str, trial: TrialRecord, result: Mapping[str, Any], **more: Any
    ) -> None:
        """Of an epoch, or of a part of one, that has taken what earlier attempts left it at."""
        before = 0.0 if trial.partial is None else trial.partial.seconds
        self._record(
            event,
            trial=trial.trial,
            attempt=trial.attempt,
            epoch=result["epoch"],
            seconds=before + result["seconds"],
            checkpoint=os.path.relpath(result["checkpoint"], self._folder),
            sha256=result["sha256"],
            bytes=result.get("bytes"),
            **more,
        )

    def _record_ends(self, due: list[TrialOutcome]) -> None:
        for end in due:
            self._record("end", **end.event(self.state.trials[end.trial]))

    def _record_pending_ends(self) -> None:
        self._record_ends(find_outcomes(self.state, self._policy, self.index.refresh(self._policy)))
        for key, reason in unfulfillable_requests(self.state):
            self._beginnings.withdraw(key, reason)

    def _interrupt_attempt(
        self, trial: TrialRecord, reason: str, kind: InterruptReason = "stopped"
    ) -> None:
        self._record("crash", **cut_short(trial, reason, kind))

    def _interrupt_all(self, reason: str, kind: InterruptReason = "stopped") -> None:
        for trial in self.state.trials.values():
            if trial.live:
                self._interrupt_attempt(trial, reason, kind)

    def _is_current_attempt(self, trial: TrialRecord, attempt: int) -> bool:
        return trial.live and trial.attempt == attempt

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


def _not_finite(metrics: Mapping[str, Any], epoch: int) -> str:
    """Why a result is a failure; empty if it is none."""
    if "dev_eer" not in metrics:
        return f"diverged: no dev_eer at epoch {epoch}"
    bad = [f"{key} is {value}" for key, value in metrics.items() if not math.isfinite(value)]
    return f"diverged: {', '.join(bad)} at epoch {epoch}" if bad else ""
