"""What Tune remembers of trials that have ended: nothing but the last one.

Left alone, its controller keeps every trial that it ran, with results, averages of every metric and
an answer of its actor, for a table that nobody reads here; it goes through all of them at every
step, and writes them all down at the end. A segment cost 70 KB so.
"""

from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback


class NoProgress(TrialProgressCallback):  # type: ignore[misc]  # Ray comes without types
    """In the place of the one that Tune adds, which remembers every trial to say nothing of it."""

    def on_trial_result(self, *_: Any, **__: Any) -> None:
        """Nothing: the ledger has it."""

    def on_trial_error(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Nothing."""


def forget_ended(controller: Any) -> None:
    """Let Tune's controller go of trials that have ended and whose actors do something else.

    The last one stays: where no actor runs for a while, Tune takes for granted that there is one.
    """
    trials = controller.get_trials()
    over = [t for t in trials[:-1] if t.is_finished() and t not in controller._trial_to_actor]
    if not over:
        return
    gone = set(over)
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
