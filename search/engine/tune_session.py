"""What Tune's hooks share while a search runs: its driver, which attempt is which, why to leave.

`search.engine.tune_runner` hands this to Tune; nothing here but actors to be ended is Tune's.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import ray

from search.core.errors import Interrupted, StorageUnavailableError
from search.engine import crash_classification, hang_detection, orphan_processes
from search.engine.controller import SearchController
from search.engine.graceful_stop import GracefulStop

T = TypeVar("T")

_STORAGE_SECONDS = 0.25
"""Between two tries to write to a storage that refuses."""


class TuneSession:
    """What Tune's four hooks share: the driver, which attempt is which, and why to leave."""

    def __init__(
        self,
        driver: SearchController,
        slots: Callable[[], int],
        poll: Callable[[], None] | None,
        folder: Path,
        patience: hang_detection.HangTimeout,
        grace_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self.driver = driver
        self.slots = slots
        self.poll = poll
        self.attempts: dict[str, tuple[str, int]] = {}
        """By Tune's trial id."""
        self.trials: dict[str, Any] = {}
        """Tune's own, of these attempts."""
        self.handed_out: dict[str, float] = {}
        """When, by the monotonic clock."""
        self.controller: Any = None
        """Tune's, once it has a trial."""
        self.folder = folder
        self.patience = patience
        self.grace_seconds = grace_seconds
        self.say = say
        self.departure: GracefulStop | None = None
        self.silence = hang_detection.Heartbeats()
        self.problem: Exception | None = None
        self.signal = 0

    def capture_error(self, action: Callable[[], T], otherwise: T) -> T:
        """Do it; a problem ends the search in order, and is raised after Tune has let go."""
        if self.problem is not None:
            return otherwise
        try:
            return action()
        except Exception as problem:  # noqa: BLE001  # raised again by `leave`
            self.problem = problem
            return otherwise

    @property
    def leaving(self) -> bool:
        """Whether to end without waiting for anything."""
        asked_now = self.driver.state.search_stop == "now"
        return self.problem is not None or bool(self.signal) or asked_now

    def wait_for_storage(self, error: OSError) -> None:
        """Until a word can be written nothing goes on, and nothing is lost; but a signal leaves.

        Raises:
            StorageUnavailableError: after a signal.
        """
        if self.signal:
            raise StorageUnavailableError(
                f"the storage cannot be written ({error.strerror})"
            ) from error
        time.sleep(_STORAGE_SECONDS)

    @contextmanager
    def raise_as_interruption(self) -> Iterator[None]:
        """What a signal gave up waiting for is no failure."""
        try:
            yield
        except StorageUnavailableError as away:
            raise Interrupted(
                f"{self._why()}, while {away}; what the ledger has is sound, and the same launch "
                "goes on from there once it can be written",
                self.signal,
            ) from away

    @contextmanager
    def reraise_cause(self) -> Iterator[None]:
        """What Tune says when it fails after something of ours did is not what went wrong."""
        try:
            yield
        except Exception as error:
            if self.problem is not None:
                raise self.problem from error
            raise

    def leave(self) -> None:
        """Close the books after Tune has ended.

        Raises:
            Interrupted: by a signal.
            RuntimeError: Tune has ended for no reason of ours.
        """
        if self.departure is not None:
            self.departure.close()
        if self.problem is not None:
            raise self.problem
        if self.signal:
            self.driver.interrupt(self._why())
            raise Interrupted(
                f"{self._why()}; {self._saved()} saved, and the same launch goes on from there",
                self.signal,
            )
        if not self.driver.why_done and not self.leaving:
            raise RuntimeError(
                "Ray Tune ended the search, and nobody had asked it to; what the ledger has is "
                "sound, and the same launch goes on from there"
            )
        self.driver.finish()

    def step(self) -> None:
        """Look around, and stop at once what is to stop at once."""
        self.driver.poll()
        if self.poll is not None:
            self.poll()
        self._end_what_hangs()
        if self.slots() > 0:
            self.driver.release("cluster", by="driver")
        else:
            why = "no machine of the cluster has room for a trial"
            self.driver.hold("cluster", why, by="driver")
        if self.driver.stop_now:
            self._kill(self.driver.stop_now)
            self.driver.stop_now.clear()

    def over(
        self, tune_id: str, died_of: Callable[[str, int], crash_classification.Diagnosis] | None
    ) -> None:
        """Tune is done with an attempt; it may say so twice.

        Args:
            tune_id: Tune's trial.
            died_of: asked what an attempt, by trial and number, died of; None if it did not die.
        """
        self.trials.pop(tune_id, None)
        self.handed_out.pop(tune_id, None)
        ended = self.attempts.pop(tune_id, None)
        if ended is None:
            return
        found = None if died_of is None else died_of(*ended)
        if found is None:
            self.driver.on_attempt_finished(*ended)
        else:
            self.driver.on_attempt_finished(*ended, found.reason, found.kind)

    def _end_what_hangs(self) -> None:
        at_work = [tune_id for tune_id in self.attempts if self._actor(tune_id) is not None]
        trials = self.driver.state.trials
        for tune_id, seconds in self.silence.look(at_work).items():
            name, attempt = self.attempts[tune_id]
            trial = trials[name]
            if seconds < self.patience.floor_seconds or (trial.live, trial.attempt) != (
                True,
                attempt,
            ):
                continue
            if seconds >= hang_detection.limit(trial, trials.values(), self.patience):
                reason = f"no word for {seconds:.0f} s after epoch {trial.epoch}"
                self.driver.on_attempt_finished(name, attempt, reason, "hang")
                self._kill({name})

    def _actor(self, tune_id: str) -> Any:
        trial = self.trials.get(tune_id)
        return None if trial is None else trial.temporary_state.ray_actor

    def depart(self) -> bool:
        """Whether to end now; whoever is under way is told to leave before, and waited for."""
        if not self.leaving:
            return False
        if self.problem is None and self.capture_error(self._is_awaiting, False):
            return False
        self.capture_error(lambda: self.driver.interrupt(self._why()), None)
        self._kill({name for name, _ in self.attempts.values()})
        return True

    def _is_awaiting(self) -> bool:
        at_work = [each for key, each in self.attempts.items() if self._actor(key) is not None]
        if self.departure is None:
            self.driver.leave(self._why())
            self.departure = GracefulStop(self.folder, at_work, self.grace_seconds)
            if self.departure.is_waiting_for(at_work):
                self.say(
                    f"{self._why()}: trials under way ({len(at_work)}) write down where they are, "
                    f"which may take up to {self.grace_seconds:g} s; a second signal leaves at once"
                )
        if self.departure.is_cut_due:
            self.driver.interrupt(self._why())
        return self.departure.is_waiting_for(at_work)  # one that died meanwhile is not at work

    def _kill(self, names: set[str]) -> None:
        """End the actors of these trials; in the middle of an epoch they listen to nothing else."""
        for tune_id, (name, attempt) in self.attempts.items():
            actor = self._actor(tune_id)
            if name in names and actor is not None:
                ray.kill(actor)
                # A process that is stopped would not hear of it.
                orphan_processes.end_worker(self.folder, name, attempt)

    def _saved(self) -> str:
        lost = len(self.departure.silent) if self.departure is not None else 0
        return f"all but the epochs under way of {lost} trials is" if lost else "everything is"

    def handle_signal(self, number: int) -> None:
        """The first signal leaves in order, the second at once: the ledger has it all."""
        if self.signal:
            os._exit(128 + number)
        self.signal = number

    def _why(self) -> str:
        if self.signal:
            return f"interrupted by {signal.Signals(self.signal).name}"
        return "stopped in the middle of an epoch"

    def __reduce__(self) -> tuple[Any, ...]:
        return (object, ())

    def __deepcopy__(self, memo: dict[int, Any]) -> "TuneSession":
        return self
