"""What Tune's hooks share while a search runs: its controller, its attempts, why to leave.

Tune names every attempt by an id of its own. This session knows which attempt an id stands for. It
decides when an attempt is ended by force, and when the whole search is left. The hooks themselves
are in `search.engine.tune_hooks`.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import ray

from search.cluster.cluster_watch import ClusterWatch
from search.core.errors import Interrupted, StorageUnavailableError
from search.engine import hang_detection, orphan_processes, tune_patches
from search.engine.attempt_table import AttemptTable
from search.engine.cluster_progress import ClusterProgress
from search.engine.controller import SearchController
from search.engine.crash_classification import Diagnosis
from search.engine.graceful_stop import GracefulStop
from spkmodel.worker.results import WorkerResult

T = TypeVar("T")

_STORAGE_SECONDS = 0.25
"""Between two tries to write to a storage that refuses."""


class TuneSession:
    """One run of a search on Tune."""

    def __init__(
        self,
        driver: SearchController,
        slots: Callable[[], int],
        poll: Callable[[], None] | None,
        folder: Path,
        hang_timeout: hang_detection.HangTimeout,
        grace_seconds: float,
        say: Callable[[str], None],
        watch: ClusterWatch,
    ) -> None:
        self.folder = folder
        self._driver = driver
        self._slots = slots
        self._poll = poll
        self._hang_timeout = hang_timeout
        self._grace_seconds = grace_seconds
        self._say, self._watch = say, watch
        self._attempts = AttemptTable()
        self._tune_controller: Any = None
        """Tune's, once it has a trial."""
        self._stop: GracefulStop | None = None
        self._heartbeats = hang_detection.Heartbeats()
        self._progress = ClusterProgress(watch, self._attempts, slots)
        self._problem: Exception | None = None
        self._signal = 0

    # --- errors and signals ------------------------------------------------------------------

    def capture_error(self, action: Callable[[], T], otherwise: T) -> T:
        """Run an action for Tune; an error ends the search in order, and is raised by `close`.

        Tune swallows or rewrites what its hooks raise, so an error is kept until Tune has returned.
        """
        if self._problem is not None:
            return otherwise
        try:
            return action()
        except Exception as problem:  # noqa: BLE001  # raised again by `close`
            self._problem = problem
            return otherwise

    @contextmanager
    def reraise_cause(self) -> Iterator[None]:
        """Raise the error of ours after which Tune failed, instead of Tune's."""
        try:
            yield
        except Exception as error:
            if self._problem is not None:
                raise self._problem from error
            raise

    @contextmanager
    def raise_as_interruption(self) -> Iterator[None]:
        """Turn a wait for the storage that a signal ended into an interruption."""
        try:
            yield
        except StorageUnavailableError as unavailable:
            raise Interrupted(
                f"{self._why()}, while {unavailable}; what the ledger has is sound, and the same "
                "launch goes on from there once it can be written",
                self._signal,
            ) from unavailable

    def wait_for_storage(self, error: OSError) -> None:
        """Wait a moment before an event is written again; nothing goes on meanwhile.

        Raises:
            StorageUnavailableError: after a signal.
        """
        if self._signal:
            raise StorageUnavailableError(
                f"the storage cannot be written ({error.strerror})"
            ) from error
        self._watch.beat()
        time.sleep(_STORAGE_SECONDS)

    def handle_signal(self, number: int) -> None:
        """Leave in order after the first signal, at once after the second."""
        if self._signal:
            os._exit(128 + number)  # nothing is lost: the ledger has it all
        self._signal = self._watch.signal = number

    # --- attempts ----------------------------------------------------------------------------

    def hand_out_segment(self, tune_id: str) -> dict[str, Any] | str:
        """Return the config of the next segment, which Tune runs under this id.

        "wait": none may start now; "done": no other will ever start.
        """
        if self.is_leaving:
            return "done"
        # Tune may wait in a loop of its own for a suggestion; requests must be seen meanwhile.
        self.step()
        # Where nothing is under way the controller is asked all the same: the search may be over.
        if (under_way := len(self._attempts)) and under_way >= self._slots():
            return "wait"
        segment = self._driver.next_segment()
        if isinstance(segment, str):
            return segment
        trial, config = segment
        self._attempts.add(tune_id, trial.trial, trial.attempt)
        return config

    def add_tune_trial(self, tune_trial: Any, tune_controller: Any) -> None:
        """Take note of Tune's own trial of an attempt, and of the controller that runs it."""
        self._tune_controller = tune_controller
        self._attempts.attach(tune_trial)

    def has_waited(self, tune_id: str, seconds: float) -> bool:
        """Return whether an attempt was handed out longer ago than this."""
        return self._attempts.has_waited(tune_id, seconds)

    def take_result(self, tune_id: str, result: WorkerResult) -> bool:
        """Record a result; return whether its segment is over."""
        self._heartbeats.record(tune_id)
        attempt = self._attempts.find(tune_id)
        if self._stop is not None and attempt is not None:
            self._stop.acknowledge(attempt.key)
        return self._driver.on_result(result)

    def end_attempt(
        self,
        tune_id: str,
        diagnose: Callable[[str, int], Diagnosis] | None = None,
    ) -> None:
        """Take note that Tune is done with an attempt; Tune may say so twice.

        Args:
            tune_id: Tune's trial.
            diagnose: asked what an attempt, by trial and number, died of; None if it did not die.
        """
        if (ended := self._attempts.remove(tune_id)) is None:
            return
        if diagnose is None:
            self._driver.on_attempt_finished(*ended.key)
        else:
            loss = self._watch.find_loss()
            found = Diagnosis("lost_node", loss) if loss else diagnose(*ended.key)
            self._driver.on_attempt_finished(*ended.key, found.reason, found.kind)

    def forget_ended_trials(self) -> None:
        """Let Tune forget its trials that have ended."""
        if self._tune_controller is not None:
            tune_patches.forget_ended_trials(self._tune_controller)

    # --- steps -------------------------------------------------------------------------------

    def step(self) -> None:
        """Carry out requests, watch slots and storage, and end by force what must end now."""
        self._progress.check(self._tune_controller)
        self._driver.poll()
        if self._poll is not None:
            self._poll()
        self._end_hanging_attempts()
        if self._slots() > 0:
            self._driver.release("cluster", by="driver")
        else:
            why = "no machine of the cluster has room for a trial"
            self._driver.hold("cluster", why, by="driver")
        if self._driver.stop_now:
            self._kill(self._driver.stop_now)
            self._driver.stop_now.clear()

    def _end_hanging_attempts(self) -> None:
        working = self._attempts.working()
        trials = self._driver.state.trials
        for tune_id, seconds in self._heartbeats.measure_silence(working).items():
            attempt = working[tune_id]
            trial = trials[attempt.trial]
            is_current = trial.live and trial.attempt == attempt.number
            # The median over all trials costs more than this look, which is taken at every step.
            if seconds < self._hang_timeout.floor_seconds or not is_current:
                continue
            if seconds >= hang_detection.longest_silence(
                trial, trials.values(), self._hang_timeout
            ):
                reason = f"no word for {seconds:.0f} s after epoch {trial.epoch}"
                self._driver.on_attempt_finished(attempt.trial, attempt.number, reason, "hang")
                self._kill({attempt.trial})

    def _kill(self, trials: set[str]) -> None:
        """End the actors of these trials; in the middle of an epoch they listen to nothing else."""
        for attempt in self._attempts.working().values():
            if attempt.trial in trials:
                ray.kill(attempt.actor)
                # Ray asks the process to end; one that is suspended would never hear of it.
                orphan_processes.end_worker(self.folder, *attempt.key)

    # --- the end -----------------------------------------------------------------------------

    @property
    def is_leaving(self) -> bool:
        """Whether the search is to end without waiting for its segments."""
        asked_now = self._driver.state.search_stop == "now"
        return self._problem is not None or bool(self._signal) or asked_now

    def should_stop_all(self) -> bool:
        """Return whether Tune is to end now; running trials were given time to save before."""
        if not self.is_leaving:
            return False
        if self._problem is None and self.capture_error(self._is_stopping_gracefully, False):
            return False
        self.capture_error(lambda: self._driver.interrupt(self._why()), None)
        if not self._watch.loss:  # without a cluster nobody would carry it out
            self._kill({attempt.trial for attempt in self._attempts})
        return True

    def _is_stopping_gracefully(self) -> bool:
        """Ask running trials to checkpoint, once; return whether to go on waiting for them."""
        working = [each.key for each in self._attempts.working().values()]
        if self._stop is None:
            self._driver.leave(self._why())
            self._stop = GracefulStop(self.folder, working, self._grace_seconds)
            if self._stop.is_waiting_for(working):
                self._say(
                    f"{self._why()}: trials under way ({len(working)}) write down where they are, "
                    f"which may take up to {self._grace_seconds:g} s; a second signal leaves at "
                    "once"
                )
        if self._stop.is_interruption_due:
            self._driver.interrupt(self._why())
        return self._stop.is_waiting_for(working)  # one that died meanwhile does not work any more

    def close(self) -> None:
        """Finish the search in the ledger after Tune has ended.

        Raises:
            Interrupted: by a signal.
            RuntimeError: Tune has ended for no reason of ours.
        """
        if self._stop is not None:
            self._stop.close()
        if self._problem is not None:
            raise self._problem
        if self._signal:
            self._driver.interrupt(self._why())
            raise Interrupted(
                f"{self._why()}; {self._saved()} saved, and the same launch goes on from there",
                self._signal,
            )
        if not self._driver.why_done and not self.is_leaving:
            raise RuntimeError(
                "Ray Tune ended the search, and nobody had asked it to; what the ledger has is "
                "sound, and the same launch goes on from there"
            )
        self._driver.finish()

    def _saved(self) -> str:
        lost = len(self._stop.unanswered) if self._stop is not None else 0
        return f"all but the epochs under way of {lost} trials is" if lost else "everything is"

    def _why(self) -> str:
        if self._signal:
            return f"interrupted by {signal.Signals(self._signal).name}"
        return "stopped in the middle of an epoch"

    # Tune pickles its hooks into snapshots that nobody reads, and deep-copies them to run them.

    def __reduce__(self) -> tuple[Any, ...]:
        return (object, ())

    def __deepcopy__(self, memo: dict[int, Any]) -> "TuneSession":
        return self
