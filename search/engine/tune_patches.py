"""Patches of Ray Tune 2.60: deaths of actors, memory, and lookups of the trainable.

Each of them names what Tune does without it. A test shows for each that it is still needed; where
a later Ray makes that test fail, the patch can go.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.registry import TRAINABLE_CLASS, _Registry

# --- deaths of actors ------------------------------------------------------------------------


@contextmanager
def report_actor_deaths() -> Iterator[None]:
    """Make Tune take every actor's death as the end of its own attempt alone.

    Tune's actor manager knows two kinds of errors and ends the whole search at any other: at Ray's
    `OutOfMemoryError`, for one, with which the memory monitor of a node kills an actor. Here every
    error of Ray's becomes one that Tune takes for the death of an actor, in words that say what it
    was.
    """
    original = RayActorManager._actor_task_failed

    def patched(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        original(manager, tracked_actor_task, _as_death(exception))

    RayActorManager._actor_task_failed = patched
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original


def read_error(trial: Any) -> str:
    """Return what Tune wrote down of a trial's error, with its traceback; empty if nothing."""
    if trial.error_file is None or not Path(trial.error_file).is_file():
        return ""
    return Path(trial.error_file).read_text(encoding="utf-8", errors="replace")


def _as_death(error: Exception) -> Exception:
    if isinstance(error, RayActorError) and error.preempted:
        # Of a preempted node Ray may say nothing but that.
        return RayActorError(error_msg=f"the actor's node was preempted: {error}")
    if isinstance(error, RayActorError | RayTaskError):
        return error
    return RayActorError(error_msg=f"{type(error).__name__}: {error}")


# --- memory ----------------------------------------------------------------------------------


class NoProgress(TrialProgressCallback):  # type: ignore[misc]  # Ray comes without types
    """Takes the place of the callback that Tune adds, which remembers every trial for a table."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Do nothing: the ledger has it."""

    def on_trial_error(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Do nothing."""


def forget_ended_trials(controller: Any) -> None:
    """Let Tune's controller forget trials that have ended and whose actors do something else.

    Left alone, it keeps every trial that it ran, with results, averages of every metric and an
    answer of its actor, for a table that nobody reads here; it goes through all of them at every
    step, and writes them all down at the end. A segment cost 70 KB so. The last trial stays: where
    no actor runs for a while, Tune takes for granted that there is one.
    """
    trials = controller.get_trials()
    over = [t for t in trials[:-1] if t.is_finished() and t not in controller._trial_to_actor]
    if not over:
        return
    gone = set(over)
    # In place, since Tune hands this very list to its callbacks.
    trials[:] = [trial for trial in trials if trial not in gone]
    for kept in (
        controller._live_trials,
        controller._stopped_trials,
        controller._failed_trials,
        controller._trials_to_cache,
    ):
        kept -= gone
    for trial in over:
        controller._trial_metadata.pop(trial.trial_id, None)


def is_waiting_for_resources(controller: Any) -> bool:
    """Return whether actors wait for resources of the cluster, and not for their process."""
    manager = controller._actor_manager
    return bool(manager.num_pending_actors > 0 and manager.num_live_actors == 0)


# --- the registry ----------------------------------------------------------------------------


@contextmanager
def cache_trainable_lookups() -> Iterator[None]:
    """Keep what Ray's head has answered of a trainable, while the context lasts.

    Left alone, Tune asks two or three times a segment whether there is such a trainable and what it
    is, waits for the answer, and unpickles it. While a search runs that does not change.
    """
    contains, get = _Registry.contains, _Registry.get
    known: dict[str, Any] = {}

    def cached_get(registry: Any, category: str, key: str) -> Any:
        if category != TRAINABLE_CLASS:
            return get(registry, category, key)
        if key not in known:
            known[key] = get(registry, category, key)
        return known[key]

    def cached_contains(registry: Any, category: str, key: str) -> bool:
        is_known = category == TRAINABLE_CLASS and key in known
        return is_known or bool(contains(registry, category, key))

    _Registry.contains, _Registry.get = cached_contains, cached_get
    try:
        yield
    finally:
        _Registry.contains, _Registry.get = contains, get
