"""A search on Ray Tune: one Tune trial is one segment of ours, from a rung to the next.

Tune schedules and carries; a searcher hands out what the driver decides, a scheduler records every
result before Tune acts on it. No state lives in Tune: its snapshots are never read.
"""

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search import diagnosis, hang, leftovers, tune_errors
from search.departure import GRACE_SECONDS, Departure
from search.driver import Driver, SegmentSettings
from search.errors import Interrupted, StorageAway
from search.ledger import Ledger
from search.rule import Rule
from search.sampler import Kind
from search.state import SearchState
from search.walk import Space

log = logging.getLogger(__name__)

T = TypeVar("T")

_STORAGE_SECONDS = 0.25
"""Between two tries to write to a storage that refuses."""

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own snapshots are never read, so they may be rare.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # How long an actor that does not answer may hold up the end of a search.
    "TUNE_FORCE_TRIAL_CLEANUP_S": "3",
    # Segments handed out that wait for their actor. Left alone it is one, and actors start one
    # after the other; how many are under way at all is for the slots to say.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Or Tune would start what was preempted itself, as the same attempt.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
}


def prepare_environment() -> None:
    """Settings that Tune reads when a search starts."""
    os.environ.update(_ENVIRONMENT)


def run(
    ledger: Ledger,
    state: SearchState,
    space: Space,
    rule: Rule,
    trainable: type[Any],
    segment_settings: SegmentSettings,
    *,
    resources: Mapping[str, float],
    slots: Callable[[], int],
    seed: int,
    storage: Path,
    poll: Callable[[], None] | None = None,
    kind: Kind = "tpe",
    patience: hang.Patience = hang.Patience(),  # noqa: B008 (frozen)
    grace_seconds: float = GRACE_SECONDS,
    say: Callable[[str], None] = log.info,
) -> None:
    """Drive a search to its end; Ray is connected, the ledger open for writing.

    Args:
        ledger: the search's, with its `search` event.
        state: what the ledger adds up to; kept up to date while the search runs.
        space: asked for new trials.
        rule: decides.
        trainable: a `tune.Trainable` of segments, as in `spkmodel.trainable`.
        segment_settings: what a segment's actor is given.
        resources: what one trial takes, as Tune counts (`cpu`, `gpu`).
        slots: how many trials may be under way now; asked at every step, so it must be quick.
        seed: of the sampler.
        storage: the search's folder, which all machines of the cluster see.
        poll: called again and again from the driver's loop.
        kind: of sampler.
        patience: with attempts that say nothing.
        grace_seconds: how long those under way may take to write down where they are, once told to
            leave.
        say: told what is waited for meanwhile.

    Raises:
        Interrupted: after SIGINT or SIGTERM, with everything saved.
    """
    prepare_environment()
    driver = Driver(ledger, state, space, rule, segment_settings, seed, kind)
    loop = _Loop(driver, slots, poll, storage, patience, grace_seconds, say)
    with (
        _signals(loop),
        _quiet_tune(),
        tune_errors.every_death_is_heard(),
        _tune_folder(storage) as folder,
        loop.told_as_interruption(),
    ):
        ledger.be_patient(loop.wait_for_storage)
        driver.begin()
        driver.note_leftovers(leftovers.end_all(leftovers.of_dead_driver(storage)))
        tuner = tune.Tuner(
            tune.with_resources(trainable, dict(resources)),
            tune_config=tune.TuneConfig(
                # Tune wants a metric that every result has; what is compared is the rule's affair.
                metric="epoch",
                mode="max",
                num_samples=-1,
                # No max_concurrent_trials: it could not change while the search runs, so
                # `_Segments` counts.
                reuse_actors=True,
                search_alg=_Segments(loop),
                scheduler=_Recorder(loop),
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=folder.name,
                storage_path=str(folder.parent),
                verbose=0,
                stop=_Stopper(loop),
                callbacks=[_Watch(loop)],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        with loop.told_by_its_cause():
            tuner.fit()
        loop.leave()


class _Loop:
    """What Tune's four hooks share: the driver, which attempt is which, and why to leave."""

    def __init__(
        self,
        driver: Driver,
        slots: Callable[[], int],
        poll: Callable[[], None] | None,
        folder: Path,
        patience: hang.Patience,
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
        self.folder = folder
        self.patience = patience
        self.grace_seconds = grace_seconds
        self.say = say
        self.departure: Departure | None = None
        self.silence = hang.Silence()
        self.problem: Exception | None = None
        self.signal = 0

    def guarded(self, action: Callable[[], T], otherwise: T) -> T:
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
            StorageAway: after a signal.
        """
        if self.signal:
            raise StorageAway(f"the storage cannot be written ({error.strerror})") from error
        time.sleep(_STORAGE_SECONDS)

    @contextmanager
    def told_as_interruption(self) -> Iterator[None]:
        """What a signal gave up waiting for is no failure."""
        try:
            yield
        except StorageAway as away:
            raise Interrupted(
                f"{self._why()}, while {away}; what the ledger has is sound, and the same launch "
                "goes on from there once it can be written",
                self.signal,
            ) from away

    @contextmanager
    def told_by_its_cause(self) -> Iterator[None]:
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

    def over(self, tune_id: str, died_of: Callable[[str, int], diagnosis.Diagnosis] | None) -> None:
        """Tune is done with an attempt; it may say so twice.

        Args:
            tune_id: Tune's trial.
            died_of: asked what an attempt, by trial and number, died of; None if it did not die.
        """
        self.trials.pop(tune_id, None)
        ended = self.attempts.pop(tune_id, None)
        if ended is None:
            return
        found = None if died_of is None else died_of(*ended)
        if found is None:
            self.driver.segment_over(*ended)
        else:
            self.driver.segment_over(*ended, found.reason, found.kind)

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
            if seconds >= hang.limit(trial, trials.values(), self.patience):
                reason = f"no word for {seconds:.0f} s after epoch {trial.epoch}"
                self.driver.segment_over(name, attempt, reason, "hang")
                self._kill({name})

    def _actor(self, tune_id: str) -> Any:
        trial = self.trials.get(tune_id)
        return None if trial is None else trial.temporary_state.ray_actor

    def depart(self) -> bool:
        """Whether to end now; whoever is under way is told to leave before, and waited for."""
        if not self.leaving:
            return False
        if self.problem is None and self.guarded(self._is_awaiting, False):
            return False
        self.guarded(lambda: self.driver.interrupt(self._why()), None)
        self._kill({name for name, _ in self.attempts.values()})
        return True

    def _is_awaiting(self) -> bool:
        at_work = [each for key, each in self.attempts.items() if self._actor(key) is not None]
        if self.departure is None:
            self.driver.leave(self._why())
            self.departure = Departure(self.folder, at_work, self.grace_seconds)
            if self.departure.awaits(at_work):
                self.say(
                    f"{self._why()}: trials under way ({len(at_work)}) write down where they are, "
                    f"which may take up to {self.grace_seconds:g} s; a second signal leaves at once"
                )
        if self.departure.is_cut_due:
            self.driver.interrupt(self._why())
        return self.departure.awaits(at_work)  # one that died meanwhile is not at work

    def _kill(self, names: set[str]) -> None:
        """End the actors of these trials; in the middle of an epoch they listen to nothing else."""
        for tune_id, (name, attempt) in self.attempts.items():
            actor = self._actor(tune_id)
            if name in names and actor is not None:
                ray.kill(actor)
                # A process that is stopped would not hear of it.
                leftovers.end_worker(self.folder, name, attempt)

    def _saved(self) -> str:
        lost = len(self.departure.silent) if self.departure is not None else 0
        return f"all but the epochs under way of {lost} trials is" if lost else "everything is"

    def _why(self) -> str:
        if self.signal:
            return f"interrupted by {signal.Signals(self.signal).name}"
        return "stopped in the middle of an epoch"

    def __reduce__(self) -> tuple[Any, ...]:
        return (object, ())

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Loop":
        return self


class _Segments(Searcher):  # type: ignore[misc]  # Ray comes without types
    """Hands out segments; an attempt that ended short of its rung comes back from the rule."""

    def __init__(self, loop: _Loop) -> None:
        super().__init__(metric="epoch", mode="max")
        self._loop = loop

    def suggest(self, trial_id: str) -> Any:
        if self._loop.leaving:
            return Searcher.FINISHED
        return self._loop.guarded(lambda: self._next(trial_id), Searcher.FINISHED)

    def _next(self, trial_id: str) -> Any:
        # Tune may wait in a loop of its own for a suggestion; requests must be seen meanwhile.
        self._loop.step()
        # Where nothing is under way the driver is asked all the same: the search may be over.
        under_way = len(self._loop.attempts)
        if under_way and under_way >= self._loop.slots():
            return None
        segment = self._loop.driver.next_segment()
        if segment == "wait":
            return None
        if segment == "done":
            return Searcher.FINISHED
        trial, config = segment
        self._loop.attempts[trial_id] = (trial.trial, trial.attempt)
        return config

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        del result
        if not error:  # the reason of an error is known to `_Watch`
            self._loop.guarded(lambda: self._loop.over(trial_id, None), None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it."""


class _Recorder(FIFOScheduler):  # type: ignore[misc]
    """Sees every result before Tune acts on it; a searcher would miss the last of a segment."""

    def __init__(self, loop: _Loop) -> None:
        super().__init__()
        self._loop = loop

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._loop.trials[trial.trial_id] = trial

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        del tune_controller
        self._loop.silence.broken(trial.trial_id)
        if self._loop.departure is not None and trial.trial_id in self._loop.attempts:
            self._loop.departure.heard(self._loop.attempts[trial.trial_id])
        over = self._loop.guarded(lambda: self._loop.driver.report(result), True)
        return FIFOScheduler.STOP if over else FIFOScheduler.CONTINUE


class _Watch(tune.Callback):  # type: ignore[misc]
    """Looks around at every step, and hears of crashes with their reason."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        self._loop.guarded(self._loop.step, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        del iteration, trials, info

        def died_of(name: str, attempt: int) -> diagnosis.Diagnosis:
            oom = leftovers.ran_out_of_memory(self._loop.folder, name, attempt)
            return diagnosis.of(tune_errors.words_of(trial), oom)

        self._loop.guarded(lambda: self._loop.over(trial.trial_id, died_of), None)


class _Stopper(tune.Stopper):  # type: ignore[misc]
    """Ends all at once when there is reason to leave."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        return self._loop.depart()


def _folder_name(trial: Any) -> str:
    return str(trial.trial_id)


@contextmanager
def _signals(loop: _Loop) -> Iterator[None]:
    """The first SIGINT or SIGTERM leaves in order, the second at once: the ledger has it all."""

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        if loop.signal:
            os._exit(128 + number)
        loop.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet_tune() -> Iterator[None]:
    """What Tune says about its own trials and snapshots would only confuse; ours is recorded."""
    tunes = logging.getLogger("ray.tune")
    level = tunes.level
    tunes.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        tunes.setLevel(level)


@contextmanager
def _tune_folder(storage: Path) -> Iterator[Path]:
    """A place for what Tune writes, gone afterwards; what dead drivers left goes too."""
    for left in storage.glob(".tune-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = storage / f".tune-{os.getpid()}-{time.time_ns()}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
