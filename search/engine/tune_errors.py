"""What Tune makes of an attempt's death.

Tune's actor manager knows two kinds of errors and ends the whole search at any other: at Ray's
`OutOfMemoryError`, for one, with which the memory monitor of a node kills an actor. Here every
error of Ray's becomes one that Tune takes for the death of an actor, in words that say what it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError


@contextmanager
def every_death_is_heard() -> Iterator[None]:
    """While the context lasts, no death of an actor ends more than its own attempt."""
    original = RayActorManager._actor_task_failed

    def heard(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        original(manager, tracked_actor_task, _as_death(exception))

    RayActorManager._actor_task_failed = heard
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original


def words_of(trial: Any) -> str:
    """What Tune wrote down of a trial's error, traceback included; empty if nothing."""
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
