"""Keeps a running search's checkpoints: sound before they are used, few, and room for the next.

What `search.checkpoints.retention` and `search.checkpoints.storage_health` decide is carried out
here, beside the hot path; every removal and every damage is in the ledger before it has an effect.
"""

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from search.checkpoints import retention, storage_health
from search.checkpoints.external_references import ExternalReferences
from search.checkpoints.files import Remover, forgotten, integrity_error, listed
from search.checkpoints.storage_health import StorageError
from search.ledger.partials import Partial
from search.ledger.state import SearchState
from search.ledger.trial import Report, TrialRecord
from search.scheduler.policy import AshaPolicy, is_interrupted, may_go_on

log = logging.getLogger(__name__)

BY = "watchdog"
"""Who holds and releases."""

_LOOK_SECONDS = 2.0
_PASS_SECONDS = 5.0
_PASS_SHARE = 0.01
"""Of the driver's time that retention may take."""
_DRAIN_SECONDS = 20.0
_BLIND_SECONDS = 600.0
"""How long nothing is removed because the ledger of another search cannot be seen."""
_LONGEST_SECONDS = 60.0
"""Between two tries to write a checkpoint to a storage that looks well and refuses."""


class Record(Protocol):
    """Writes an event to the ledger and takes it into account."""

    def __call__(self, event: str, **fields: Any) -> None: ...


class CheckpointManager:
    """One search's, for as long as its driver lives."""

    def __init__(
        self,
        folder: Path,
        state: SearchState,
        record: Record,
        hold: Callable[[str, str, str], None],
        release: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is looked at before `begin`.

        Args:
            folder: the search's.
            state: kept up to date by `record`.
            record: see `Record`.
            hold: with cause, reason and by whom: start nothing new while the cause lasts.
            release: with cause and by whom: it is gone.
            clock: seconds, of a clock that nobody sets.
        """
        self._folder = folder
        self._state = state
        self._record = record
        self._hold_for = hold
        self._release_from = release
        self._clock = clock
        self._remover = Remover(folder)
        self._neighbours = ExternalReferences(folder)
        self._looked = self._tidied = -1e9
        self._pause = _PASS_SECONDS
        self._seen = -1
        self._refusals = 0
        self._not_before = -1e9
        self._saw_all = clock()

    def begin(self) -> None:
        """Sweep what is nobody's, and find out which checkpoints are damaged.

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
                    self._fall_back(trial)
            for trial in retention.best_trials(self._state, retention.to_keep(self._state)):
                report = retention.best_kept(trial)
                if report is not None and (wrong := integrity_error(self._folder, report)):
                    self._record_damage(trial, report, wrong)
        except OSError as error:
            self.refused(error.errno or errno.EIO, str(self._folder))

    def may_start(self, trial: TrialRecord) -> bool:
        """Whether it can go on from where it is; if not, the state is no longer what it was."""
        try:
            if self._fall_back(trial):
                return False
        except OSError as error:
            self.refused(error.errno or errno.EIO, str(self._folder))
            return False
        last = trial.last
        if last is None or trial.has_checkpoint(last) or trial.partial is not None:
            return True
        known = "damaged" if last.checkpoint in trial.damaged else "removed to make room"
        self._record_damage(trial, last, f"it was {known}")
        return False

    def found_damaged(self, trial: TrialRecord, reason: str) -> None:
        """An attempt could not use the checkpoint that it was to go on from."""
        report = trial.goes_on_from
        if report is not None:
            self._record_damage(trial, report, reason)

    def refused(self, number: int, where: str) -> None:
        """The storage refused, with this error number; each time it is given longer to recover."""
        self._refusals += 1
        self._not_before = self._clock() + min(_LONGEST_SECONDS, 2.0**self._refusals)
        self._hold(storage_health.of_error(number, where))

    def accepted(self) -> None:
        """The storage took a checkpoint."""
        self._refusals = 0

    def look(self) -> None:
        """Watch the storage, and remove what need not be kept; quick, and mostly nothing."""
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._watch()
        if now - self._tidied >= self._pause and self._seen != self._state.version:
            self.prune()

    def drain(self) -> None:
        """Wait until what was written down as removed is."""
        if not self._remover.drain(_DRAIN_SECONDS):
            log.warning("checkpoints are still being removed; the next launch goes on with it")

    # --- sound -------------------------------------------------------------------------------

    def _fall_back(self, trial: TrialRecord) -> bool:
        """Go back to the newest sound checkpoint; whether that is another than was thought."""
        before = trial.goes_on_from
        while (report := trial.goes_on_from) is not None:
            wrong = integrity_error(self._folder, report)
            if not wrong:
                break
            self._record_damage(trial, report, wrong)
        return trial.goes_on_from is not before

    def _record_damage(self, trial: TrialRecord, report: Report | Partial, reason: str) -> None:
        fields = damage(trial, report, reason)
        log.warning(
            "trial %s goes on from epoch %d: the checkpoint of %s cannot be used (%s)",
            trial.trial,
            fields["from_epoch"],
            report if isinstance(report, Partial) else f"epoch {report.epoch}",
            reason,
        )
        self._record("damaged", **fields)

    # --- few ---------------------------------------------------------------------------------

    def prune(self, *, last: bool = False) -> None:
        """Remove what need not be kept; at the last time, nothing is to be held up any more."""
        began = time.perf_counter()
        sees_all, now = self._neighbours.look(), self._clock()
        if sees_all:
            self._saw_all = now
        plan = self._plan(tight="disk" in self._state.holds)
        # What another search starts from could be among it; but a file that is broken for good must
        # not fill the disk.
        removals = plan.removals if sees_all or now - self._saw_all > _BLIND_SECONDS else ()
        for removal in removals:
            self._record(
                "removed",
                trial=removal.trial,
                checkpoints=list(removal.checkpoints),
                bytes=removal.bytes,
            )
            self._remover.remove(removal.checkpoints)
        if not last:
            self._bound(plan)
        self._seen, self._tidied = self._state.version if sees_all else -1, now
        took = time.perf_counter() - began
        self._pause = max(_PASS_SECONDS, took / _PASS_SHARE)

    def _plan(self, *, tight: bool = False) -> retention.Plan:
        near = self._neighbours
        return retention.plan(self._state, tight=tight, pinned=near.hashes, wanted=near.trials)

    def _bound(self, plan: retention.Plan) -> None:
        """Hold while what must be kept is more than `--disk-gb` allows."""
        if plan.excess and plan.limit_bytes is not None:
            self._hold(
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

    def _watch(self) -> None:
        try:
            now = storage_health.trouble(storage_health.disk(self._folder), self._needed())
        except OSError as error:
            now = storage_health.of_error(error.errno or errno.EIO, str(self._folder))
        if now is not None:
            self._hold(now)
        elif self._held() and self._clock() >= self._not_before:
            self._release()

    def _held(self) -> list[str]:
        return [cause for cause in ("disk", "storage") if cause in self._state.holds]

    def _release(self) -> None:
        """Whatever held is over, if a checkpoint can be written and the bound is met."""
        still = storage_health.probe(self._folder, self._state.largest_checkpoint)
        if still is not None or self._plan().excess:
            return
        for cause in self._held():
            self._release_from(cause, BY)

    def _hold(self, found: StorageError) -> None:
        self._hold_for(found.cause, found.reason, BY)

    def _needed(self) -> int:
        """Two checkpoints of every trial under way and of one more, and some for the ledger."""
        live = sum(trial.live for trial in self._state.trials.values())
        return 2 * self._state.largest_checkpoint * (live + 1) + storage_health.RESERVE_BYTES


def damage(trial: TrialRecord, report: Report | Partial, reason: str) -> dict[str, Any]:
    """The fields of a `damaged` event: from its newest sound epoch on, a trial is trained again.

    No epoch is lost where a later part of one is sound, nor with such a part itself. One that has
    ended for good loses the checkpoint and no epoch: nothing would bring them back.
    """
    sound = [r for r in trial.reports.values() if trial.has_checkpoint(r) and r is not report]
    from_epoch = max((each.epoch for each in sound), default=0)
    is_needed = trial.partial is None and (trial.live or may_go_on(trial))
    return {
        "trial": trial.trial,
        "epoch": report.epoch,
        "checkpoint": report.checkpoint,
        "reason": reason,
        "from_epoch": from_epoch if is_needed else trial.epoch,
    }
