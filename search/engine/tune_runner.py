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

from search.cluster.cluster_watch import ClusterWatch
from search.core import signals
from search.engine import (
    hang_detection,
    orphan_processes,
    tune_patches,
)
from search.engine.controller import SearchController, SegmentSettings
from search.engine.graceful_stop import GRACE_SECONDS
from search.engine.tune_hooks import (
    ProgressCallback,
    ResultRecorder,
    SegmentSearcher,
    SessionStopper,
)
from search.engine.tune_session import TuneSession
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.scheduler.policy import AshaPolicy
from search.space.branches import Space

log = logging.getLogger(__name__)

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
    patience: hang_detection.HangTimeout = hang_detection.HangTimeout(),  # noqa: B008 (frozen)
    grace_seconds: float = GRACE_SECONDS,
    say: Callable[[str], None] = log.info,
    watch: ClusterWatch | None = None,
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
        slots: how many trials may be under way now; quick, since it is asked at every step.
        seed: of the sampler.
        storage: the search's folder, which all machines of the cluster see.
        poll: called again and again from the driver's loop.
        patience: with attempts that say nothing.
        grace_seconds: how long those under way may take to checkpoint, once told to leave.
        say: told what is waited for meanwhile.
        watch: of the cluster; None: nobody watches it.

    Raises:
        Interrupted: after SIGINT or SIGTERM, with everything saved.
        ClusterLostError: the cluster is gone; what the ledger has is sound.
    """
    prepare_environment()
    watch = watch or ClusterWatch()
    driver = SearchController(
        ledger, state, space, policy, segment_settings, seed, state.search.strategy
    )
    session = TuneSession(driver, slots, poll, storage, patience, grace_seconds, say, watch)
    with (
        signals.handle_signals(session.handle_signal),
        _adapted_tune(),
        _tune_folder(storage) as folder,
        session.raise_as_interruption(),
    ):
        ledger.set_retry_policy(session.wait_for_storage)
        driver.begin()
        driver.record_orphans(orphan_processes.end_all(orphan_processes.find_orphans(storage)))
        tuner = _make_tuner(session, tune.with_resources(trainable, dict(resources)), folder)
        with session.reraise_cause():
            tuner.fit()
        session.close()


def _make_tuner(session: TuneSession, trainable: Any, folder: Path) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            # Tune wants a metric that every result has; what is compared is the rule's affair.
            metric="epoch",
            mode="max",
            num_samples=-1,
            # No max_concurrent_trials: it could not change while the search runs, so
            # the session counts.
            reuse_actors=True,
            search_alg=SegmentSearcher(session),
            scheduler=ResultRecorder(session),
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            verbose=0,
            stop=SessionStopper(session),
            callbacks=[ProgressCallback(session), tune_patches.NoProgress()],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


def _folder_name(trial: Any) -> str:
    return str(trial.trial_id)


@contextmanager
def _adapted_tune() -> Iterator[None]:
    """Patch Tune, and silence what it says about its own trials and snapshots; ours is recorded."""
    tunes = logging.getLogger("ray.tune")
    level = tunes.level
    tunes.setLevel(logging.CRITICAL)
    try:
        with tune_patches.report_actor_deaths(), tune_patches.cache_trainable_lookups():
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
