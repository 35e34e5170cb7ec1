"""A search on Ray Tune: one Tune trial is one segment of ours, from a rung to the next.

Tune schedules and carries; a searcher hands out what the driver decides, a scheduler records every
result before Tune acts on it. No state lives in Tune: its snapshots are never read.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search.core import signals
from search.engine import (
    crash_classification,
    hang_detection,
    orphan_processes,
    tune_errors,
    tune_memory,
    tune_registry,
)
from search.engine.controller import SearchController, SegmentSettings
from search.engine.graceful_stop import GRACE_SECONDS
from search.engine.tune_session import TuneSession
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.sampler.sampler import Kind
from search.scheduler.policy import AshaPolicy
from search.space.branches import Space
from spkmodel.worker.results import from_tune

log = logging.getLogger(__name__)

_WORKER_SECONDS = 30.0
"""How long a segment waits for the worker that starts for it; then it takes the next free one."""

_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own snapshots are never read, so they may be rare.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # What a result must have, `SearchController.on_result` sees to.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
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
    policy: AshaPolicy,
    trainable: type[Any],
    segment_settings: SegmentSettings,
    *,
    resources: Mapping[str, float],
    slots: Callable[[], int],
    seed: int,
    storage: Path,
    poll: Callable[[], None] | None = None,
    kind: Kind = "tpe",
    patience: hang_detection.HangTimeout = hang_detection.HangTimeout(),  # noqa: B008 (frozen)
    grace_seconds: float = GRACE_SECONDS,
    say: Callable[[str], None] = log.info,
) -> None:
    """Drive a search to its end; Ray is connected, the ledger open for writing.

    Args:
        ledger: the search's, with its `search` event.
        state: what the ledger adds up to; kept up to date while the search runs.
        space: asked for new trials.
        policy: of ASHA; decides what runs next.
        trainable: a `tune.Trainable` of segments, as in `spkmodel.worker.trainable`.
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
    driver = SearchController(ledger, state, space, policy, segment_settings, seed, kind)
    loop = TuneSession(driver, slots, poll, storage, patience, grace_seconds, say)
    with (
        signals.handle_signals(loop.handle_signal),
        _quiet_tune(),
        tune_errors.every_death_is_heard(),
        tune_registry.asked_once(),
        _tune_folder(storage) as folder,
        loop.raise_as_interruption(),
    ):
        ledger.set_retry_policy(loop.wait_for_storage)
        driver.begin()
        driver.record_orphans(orphan_processes.end_all(orphan_processes.of_dead_driver(storage)))
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
                callbacks=[_ProgressCallback(loop), tune_memory.NoProgress()],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        with loop.reraise_cause():
            tuner.fit()
        loop.leave()


class _Segments(Searcher):  # type: ignore[misc]  # Ray comes without types
    """Hands out segments; an attempt that ended short of its rung comes back from the rule."""

    def __init__(self, loop: TuneSession) -> None:
        super().__init__(metric="epoch", mode="max")
        self._loop = loop

    def suggest(self, trial_id: str) -> Any:
        if self._loop.leaving:
            return Searcher.FINISHED
        return self._loop.capture_error(lambda: self._next(trial_id), Searcher.FINISHED)

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
        self._loop.handed_out[trial_id] = time.monotonic()
        return config

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        del result
        if not error:  # the reason of an error is known to `_ProgressCallback`
            self._loop.capture_error(lambda: self._loop.over(trial_id, None), None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it."""


class _Recorder(FIFOScheduler):  # type: ignore[misc]
    """Sees every result before Tune acts on it; a searcher would miss the last of a segment."""

    def __init__(self, loop: TuneSession) -> None:
        super().__init__()
        self._loop = loop

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._loop.trials[trial.trial_id] = trial
        self._loop.controller = tune_controller._tune_controller

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Whose turn it is before all others: who waits for a worker too long.

        Tune's own answer is whoever waits longest. That one would be given every worker that is
        free again, while the one that starts for it is ended; where segments are shorter than the
        start of a worker, no second one would ever come to work.
        """
        overdue = time.monotonic() - _WORKER_SECONDS
        for trial in tune_controller.get_trials():
            since = self._loop.handed_out.get(trial.trial_id, overdue)
            if trial.status == "PENDING" and since < overdue:
                return trial
        return None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        del tune_controller
        self._loop.silence.broken(trial.trial_id)
        if self._loop.departure is not None and trial.trial_id in self._loop.attempts:
            self._loop.departure.heard(self._loop.attempts[trial.trial_id])
        over = self._loop.capture_error(
            lambda: self._loop.driver.on_result(from_tune(result)), True
        )
        return FIFOScheduler.STOP if over else FIFOScheduler.CONTINUE


class _ProgressCallback(tune.Callback):  # type: ignore[misc]
    """Looks around at every step, and hears of crashes with their reason."""

    def __init__(self, loop: TuneSession) -> None:
        self._loop = loop

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        self._loop.capture_error(self._loop.step, None)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        controller = self._loop.controller
        if controller is not None:
            self._loop.capture_error(lambda: tune_memory.forget_ended(controller), None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        del iteration, trials, info

        def died_of(name: str, attempt: int) -> crash_classification.Diagnosis:
            oom = orphan_processes.ran_out_of_memory(self._loop.folder, name, attempt)
            return crash_classification.of(tune_errors.words_of(trial), self._loop.folder, oom)

        self._loop.capture_error(lambda: self._loop.over(trial.trial_id, died_of), None)


class _Stopper(tune.Stopper):  # type: ignore[misc]
    """Ends all at once when there is reason to leave."""

    def __init__(self, loop: TuneSession) -> None:
        self._loop = loop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        return self._loop.depart()


def _folder_name(trial: Any) -> str:
    return str(trial.trial_id)


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
