"""Tune's four hooks: the searcher, the scheduler, the callback and the stopper.

Each of them only translates between Tune and the `TuneSession` that they share. No state lives in
Tune: its snapshots are never read.
"""

from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search.engine import crash_classification, orphan_processes, tune_patches
from search.engine.tune_session import TuneSession
from spkmodel.worker.results import from_tune

_WORKER_SECONDS = 30.0
"""How long a segment waits for the worker that starts for it; then it takes the next free one."""


class SegmentSearcher(Searcher):  # type: ignore[misc]  # Ray comes without types
    """Suggest segments to Tune; attempts that ended early are suggested again."""

    def __init__(self, session: TuneSession) -> None:
        super().__init__(metric="epoch", mode="max")
        self._session = session

    def suggest(self, trial_id: str) -> Any:
        return self._session.capture_error(lambda: self._suggest(trial_id), Searcher.FINISHED)

    def _suggest(self, trial_id: str) -> Any:
        segment = self._session.hand_out_segment(trial_id)
        if segment == "wait":
            return None
        return Searcher.FINISHED if segment == "done" else segment

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        del result
        if not error:  # the reason of an error is known to `ProgressCallback`
            self._session.capture_error(lambda: self._session.end_attempt(trial_id), None)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the ledger has it."""


class ResultRecorder(FIFOScheduler):  # type: ignore[misc]
    """Records every result before Tune acts on it; a searcher would miss the last of a segment."""

    def __init__(self, session: TuneSession) -> None:
        super().__init__()
        self._session = session

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        self._session.add_tune_trial(trial, tune_controller._tune_controller)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return a pending trial that has waited too long for a worker; None: Tune decides.

        Tune's own answer is whoever waits longest. That one would be given every worker that is
        free again, while the one that starts for it is ended; where segments are shorter than the
        start of a worker, no second one would ever come to work.
        """
        for trial in tune_controller.get_trials():
            is_pending = trial.status == "PENDING"
            if is_pending and self._session.has_waited(trial.trial_id, _WORKER_SECONDS):
                return trial
        return None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        del tune_controller
        over = self._session.capture_error(
            lambda: self._session.take_result(trial.trial_id, from_tune(result)), True
        )
        return FIFOScheduler.STOP if over else FIFOScheduler.CONTINUE


class ProgressCallback(tune.Callback):  # type: ignore[misc]
    """Lets the session work at every step, and tells it why an attempt died."""

    def __init__(self, session: TuneSession) -> None:
        self._session = session

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        self._session.capture_error(self._session.step, None)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        del iteration, trials, info
        self._session.capture_error(self._session.forget_ended_trials, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        del iteration, trials, info

        def diagnose(name: str, attempt: int) -> crash_classification.Diagnosis:
            folder = self._session.folder
            oom = orphan_processes.ran_out_of_memory(folder, name, attempt)
            return crash_classification.classify(tune_patches.read_error(trial), folder, oom)

        self._session.capture_error(
            lambda: self._session.end_attempt(trial.trial_id, diagnose), None
        )


class SessionStopper(tune.Stopper):  # type: ignore[misc]
    """Ends all at once when there is reason to leave."""

    def __init__(self, session: TuneSession) -> None:
        self._session = session

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        del trial_id, result
        return False

    def stop_all(self) -> bool:
        return self._session.should_stop_all()
