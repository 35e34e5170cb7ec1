"""Manage a running search's checkpoints: check before use, remove old ones, watch the disk.

What `search.checkpoints.retention` and `search.checkpoints.storage_health` decide is carried out
here, beside the hot path. The methods give events (`search.ledger.events.EventSteps`): by the time
such a method goes on after an event, that event is in the ledger and in the state. So a checkpoint
is removed only after its removal was recorded.
"""

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path

from search.checkpoints import retention, storage_health
from search.checkpoints.external_references import ExternalReferences
from search.checkpoints.folders import Remover, forgotten, integrity_error, listed
from search.checkpoints.storage_health import StorageError
from search.ledger import holds
from search.ledger.events import DamagedEvent, EventSteps, RemovedEvent
from search.ledger.report import Partial, Report
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler.policy import AshaPolicy, is_interrupted, may_go_on

log = logging.getLogger(__name__)

BY = "watchdog"
"""Who holds and releases."""

_WATCH_SECONDS = 2.0
_PASS_SECONDS = 5.0
_PASS_SHARE = 0.01
"""Of the driver's time that retention may take."""
_DRAIN_SECONDS = 20.0
_BLIND_SECONDS = 600.0
"""How long nothing is removed because the ledger of another search cannot be seen."""
_LONGEST_SECONDS = 60.0
"""Between two tries to write a checkpoint to a storage that looks well and refuses."""


class CheckpointManager:
    """Manages the checkpoints of one search while its driver runs."""

    def __init__(
        self,
        folder: Path,
        state: SearchState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `begin` reads the disk.

        Args:
            folder: the search's.
            state: kept up to date by whoever takes the events.
            clock: seconds, of a clock that nobody sets.
        """
        self._folder = folder
        self._state = state
        self._clock = clock
        self._remover = Remover(folder)
        self._references = ExternalReferences(folder)
        self._watched = self._pruned = -1e9
        self._pause = _PASS_SECONDS
        self._seen = -1
        self._refusals = 0
        self._not_before = -1e9
        self._saw_all = clock()

    def begin(self) -> EventSteps[None]:
        """Remove unrecorded folders, and record damaged checkpoints.

        Nothing of this driver's runs yet; what an attempt of an earlier one still writes has a name
        of its own and is refused anyway. Of a trial that rests, only the best ones' are looked at:
        whether the others will be needed shows when they go on.
        """
        policy = AshaPolicy.from_settings(self._state.search)
        try:
            storage_health.remove_temporary_files(self._folder)
            self._remover.remove(sorted(forgotten(self._folder, self._state, listed(self._folder))))
            for trial in self._state.trials.values():
                if is_interrupted(trial, policy):
                    yield from self._fall_back(trial)
            for trial in retention.best_trials(self._state, retention.to_keep(self._state)):
                report = retention.best_kept(trial)
                if report is not None and (wrong := integrity_error(self._folder, report)):
                    yield damaged_event(trial, report, wrong)
        except OSError as error:
            yield from self.on_refused(error.errno or errno.EIO, str(self._folder))

    def may_start(self, trial: TrialRecord) -> EventSteps[bool]:
        """Return whether a trial can go on from its checkpoint; if not, the state has changed."""
        try:
            if (yield from self._fall_back(trial)):
                return False
        except OSError as error:
            yield from self.on_refused(error.errno or errno.EIO, str(self._folder))
            return False
        last = trial.last
        if last is None or trial.has_checkpoint(last) or trial.partial is not None:
            return True
        known = "damaged" if last.checkpoint in trial.damaged else "removed to make room"
        yield damaged_event(trial, last, f"it was {known}")
        return False

    def on_damaged(self, trial: TrialRecord, reason: str) -> EventSteps[None]:
        """Record that an attempt could not use its checkpoint."""
        report = trial.resume_point
        if report is not None:
            yield damaged_event(trial, report, reason)

    def on_refused(self, number: int, where: str) -> EventSteps[None]:
        """Hold the search after the storage failed with this error number, longer each time."""
        self._refusals += 1
        self._not_before = self._clock() + min(_LONGEST_SECONDS, 2.0**self._refusals)
        yield from self._hold(storage_health.classify_error(number, where))

    def on_accepted(self) -> None:
        """Reset the waiting time after a checkpoint was written."""
        self._refusals = 0

    def poll(self) -> EventSteps[None]:
        """Check the storage and remove old checkpoints when due; cheap enough for every step."""
        now = self._clock()
        if now - self._watched >= _WATCH_SECONDS:
            self._watched = now
            yield from self._watch()
        if now - self._pruned >= self._pause and self._seen != self._state.version:
            yield from self.prune()

    def drain(self) -> None:
        """Wait until all checkpoints recorded as removed are gone from the disk."""
        if not self._remover.drain(_DRAIN_SECONDS):
            log.warning("checkpoints are still being removed; the next launch goes on with it")

    # --- sound -------------------------------------------------------------------------------

    def _fall_back(self, trial: TrialRecord) -> EventSteps[bool]:
        """Fall back to the newest undamaged checkpoint; return whether it is an older one."""
        before = trial.resume_point
        while (report := trial.resume_point) is not None:
            wrong = integrity_error(self._folder, report)
            if not wrong:
                break
            yield damaged_event(trial, report, wrong)
        return trial.resume_point is not before

    # --- few ---------------------------------------------------------------------------------

    def prune(self, *, last: bool = False) -> EventSteps[None]:
        """Remove old checkpoints; at the last call, do not hold the search any more."""
        began = time.perf_counter()
        sees_all, now = self._references.read_new(), self._clock()
        if sees_all:
            self._saw_all = now
        plan = self._plan(tight="disk" in self._state.holds)
        # What another search starts from could be among it; but a file that is broken for good must
        # not fill the disk.
        removals = plan.removals if sees_all or now - self._saw_all > _BLIND_SECONDS else ()
        for removal in removals:
            yield RemovedEvent(
                trial=removal.trial, checkpoints=removal.checkpoints, bytes=removal.bytes
            )
            self._remover.remove(removal.checkpoints)
        if not last:
            yield from self._hold_over_limit(plan)
        self._seen, self._pruned = self._state.version if sees_all else -1, now
        took = time.perf_counter() - began
        self._pause = max(_PASS_SECONDS, took / _PASS_SHARE)

    def _plan(self, *, tight: bool = False) -> retention.Plan:
        references = self._references
        return retention.plan(
            self._state, tight=tight, pinned=references.hashes, wanted=references.trials
        )

    def _hold_over_limit(self, plan: retention.Plan) -> EventSteps[None]:
        """Hold the search while the checkpoints that must stay exceed `--disk-gb`."""
        if plan.excess and plan.limit_bytes is not None:
            yield from self._hold(
                StorageError(
                    "disk",
                    f"checkpoints that are needed use {storage_health.size(plan.kept_bytes)} and "
                    f"{storage_health.size(plan.coming_bytes)} more are coming, --disk-gb allows "
                    f"{storage_health.size(plan.limit_bytes)}: `spksearch budget "
                    f"{self._folder.name} --disk-gb G` allows more, `spksearch stop "
                    f"{self._folder.name} TRIAL` needs less",
                )
            )

    # --- room --------------------------------------------------------------------------------

    def _watch(self) -> EventSteps[None]:
        try:
            disk = storage_health.disk(self._folder)
            now = storage_health.find_storage_error(disk, self._needed())
        except OSError as error:
            now = storage_health.classify_error(error.errno or errno.EIO, str(self._folder))
        if now is not None:
            yield from self._hold(now)
        elif self._held() and self._clock() >= self._not_before:
            yield from self._release()

    def _held(self) -> list[str]:
        return [cause for cause in ("disk", "storage") if cause in self._state.holds]

    def _release(self) -> EventSteps[None]:
        """End the holds, if a checkpoint can be written and the limit is met."""
        still = storage_health.probe(self._folder, self._state.largest_checkpoint)
        if still is not None or self._plan().excess:
            return
        for cause in self._held():
            yield from holds.release(self._state, cause, BY)

    def _hold(self, found: StorageError) -> EventSteps[None]:
        yield from holds.hold(self._state, found.cause, found.reason, BY)

    def _needed(self) -> int:
        """Return the bytes needed: two checkpoints a running trial and one more, and the ledger."""
        live = sum(trial.live for trial in self._state.trials.values())
        return 2 * self._state.largest_checkpoint * (live + 1) + storage_health.RESERVE_BYTES


def damaged_event(trial: TrialRecord, report: Report | Partial, reason: str) -> DamagedEvent:
    """Return the event of a checkpoint that cannot be used, and log it.

    From its newest sound epoch on, the trial is trained again.

    No epoch is lost where a later part of one is sound, nor with such a part itself. One that has
    ended for good loses the checkpoint and no epoch: nothing would bring them back.
    """
    sound = [r for r in trial.reports.values() if trial.has_checkpoint(r) and r is not report]
    from_epoch = max((each.epoch for each in sound), default=0)
    is_needed = trial.partial is None and (trial.live or may_go_on(trial))
    event = DamagedEvent(
        trial=trial.trial,
        epoch=report.epoch,
        checkpoint=report.checkpoint,
        reason=reason,
        from_epoch=from_epoch if is_needed else trial.epoch,
    )
    log.warning(
        "trial %s goes on from epoch %d: the checkpoint of %s cannot be used (%s)",
        trial.trial,
        event.from_epoch,
        report if isinstance(report, Partial) else f"epoch {report.epoch}",
        reason,
    )
    return event
