"""Run one of the two drivers that `bench.overhead` compares, as a process on a running Ray.

python -m bench.drivers ours|shipped RAY_ADDRESS MLFLOW_URI TRIALS SLOTS FOLDER
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from bench.overhead import EPOCHS, ETA, SEED
from bench.support import formula_search, instant_training
from bench.support.simulated_cluster import resident
from search.engine import tune_runner
from search.ledger.ledger import Ledger
from search.scheduler.policy import AshaPolicy, ladder
from search.tracking.sync import Tracker

_DRAIN_SECONDS = 300.0


class Meter:
    """Measures what this process uses from the first report on, without the start of workers."""

    def __init__(self, trials: Callable[[], int]) -> None:
        self._trials = trials
        self._held: list[tuple[int, int]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._began = self._processor = self._wall = 0.0

    def begin(self) -> None:
        """Start measuring at the first report; later calls do nothing."""
        if not self._began:
            self._began, self._processor = time.perf_counter(), time.process_time()
            self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            self._held.append((self._trials(), resident()))

    def end(self) -> None:
        """Stop the clock at the search's end; processor time counts further."""
        self._wall = time.perf_counter() - self._began
        self._ended.set()
        self._thread.join()

    def figures(self, trials: int, reports: int) -> dict[str, float]:
        """Return every figure, by trial and by report."""
        wall, processor = self._wall, time.process_time() - self._processor
        return {
            "trials": trials,
            "reports": reports,
            "wall_seconds": round(wall, 1),
            "processor_seconds": round(processor, 1),
            "wall_ms_a_trial": round(1000 * wall / trials, 2),
            "wall_ms_a_report": round(1000 * wall / reports, 2),
            "processor_ms_a_trial": round(1000 * processor / trials, 2),
            "processor_ms_a_report": round(1000 * processor / reports, 2),
            "mb_per_1000_trials": round(self._slope(trials), 1),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (object, ())  # Tune pickles what it is given into a file that nobody reads

    def _slope(self, trials: int) -> float:
        """Return the growth of memory over the last half of the trials.

        What is loaded when there are no more trials, for Tune's table of results, belongs to none.
        """
        first: dict[int, int] = {}
        for count, held in self._held:
            first.setdefault(count, held)
        late = [(count, held) for count, held in first.items() if trials / 2 <= count]
        if len(late) < 2:
            return 0.0
        counts, held = np.array(late, dtype=float).T
        return 1000 * float(np.polyfit(counts, held, 1)[0]) / 1e6


def ours(uri: str, trials: int, slots: int, folder: Path) -> dict[str, Any]:
    """Run a search through the engine of this project."""
    with Ledger.open(folder / "ours" / "ledger.jsonl", write=True) as ledger:
        rule = AshaPolicy(rungs=ladder(EPOCHS, ETA), eta=ETA, trials=trials)
        ledger.append(formula_search.search_event(rule, SEED))
        state = ledger.state()

        def segment(trial: Any, attempt: int, to_rung: int) -> dict[str, Any]:
            what = {"trial": trial.trial, "attempt": attempt, "from_epoch": trial.epoch}
            place = folder / "ours" / "trials" / trial.trial
            return {"segment": {**what, "axes": trial.axes, "folder": str(place), "to": to_rung}}

        tracker = Tracker(ledger.path, uri).start()
        meter = Meter(lambda: len(state.trials))
        tune_runner.run(
            ledger,
            state,
            formula_search.SPACE,
            rule,
            instant_training.Trivial,
            segment,
            resources={"cpu": 1},
            slots=lambda: slots,
            seed=SEED,
            storage=folder / "ours",
            poll=lambda: meter.begin() if any(t.reports for t in state.trials.values()) else None,
        )
        reports = sum(len(trial.reports) for trial in state.trials.values())
        meter.end()
        behind, began = tracker.health().queued, time.perf_counter()
        delivered = tracker.drain(_DRAIN_SECONDS)
        # The processor that the rest of the tracking took is the driver's as well.
        found: dict[str, Any] = meter.figures(len(state.trials), reports)
        found["events_behind_at_the_end"], found["all_in_mlflow"] = behind, delivered
        found["drained_after_seconds"] = round(time.perf_counter() - began, 1)
        processor = tracker.processor_seconds()
        tracker.close()
    # Nothing of it is called from the loop; it takes the loop's processor, at most so much.
    found["tracking_held_ms_a_report"] = 0.0
    found["tracking_processor_ms_a_report"] = round(1000 * processor / reports, 3)
    return found


class _TimedCallback(MLflowLoggerCallback):  # type: ignore[misc]  # Ray comes without types
    """The shipped callback, with its time measured."""

    seconds = 0.0
    processor = 0.0
    results = 0
    ended = 0
    begin: Callable[[], None]
    """Called at every result."""

    def _timed(self, action: Callable[[], None]) -> None:
        began, processor = time.perf_counter(), time.thread_time()
        action()
        self.seconds += time.perf_counter() - began
        self.processor += time.thread_time() - processor

    def log_trial_start(self, trial: Any) -> None:
        self._timed(lambda: super(_TimedCallback, self).log_trial_start(trial))

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        self.results += 1
        self.begin()
        self._timed(lambda: super(_TimedCallback, self).log_trial_result(iteration, trial, result))

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        self.ended += 1
        self._timed(lambda: super(_TimedCallback, self).log_trial_end(trial, failed))


def _axes(trial: Any) -> dict[str, Any]:
    formula_search.SPACE.function(trial)
    return {}


class _Named(OptunaSearch):  # type: ignore[misc]
    """Passes suggestions on under one key, as the trainable expects them."""

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        answers = super().suggest(trial_id)
        return None if answers is None else {"axes": answers}


def shipped(uri: str, trials: int, slots: int, folder: Path) -> dict[str, Any]:
    """Run the same through Tune with OptunaSearch, ASHAScheduler and MLflowLoggerCallback."""
    # Tune's settings are the same: no CSV, JSON or TensorBoard files
    tune_runner.prepare_environment()
    callback = _TimedCallback(tracking_uri=uri, experiment_name="shipped")

    meter = Meter(lambda: callback.ended)
    callback.begin = meter.begin
    tuner = tune.Tuner(
        tune.with_resources(instant_training.Trivial, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="dev_eer",
            mode="min",
            num_samples=trials,
            max_concurrent_trials=slots,
            reuse_actors=True,
            search_alg=_Named(space=_axes, metric="dev_eer", mode="min", seed=SEED),
            scheduler=ASHAScheduler(
                time_attr="epoch", max_t=EPOCHS, grace_period=1, reduction_factor=ETA
            ),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder / "shipped"),
            verbose=0,
            callbacks=[callback],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    meter.end()
    found: dict[str, Any] = meter.figures(callback.ended, callback.results)
    found["tracking_held_ms_a_report"] = round(1000 * callback.seconds / callback.results, 3)
    found["tracking_processor_ms_a_report"] = round(1000 * callback.processor / callback.results, 3)
    return found


def main() -> None:
    which, address, uri, trials, slots, folder = sys.argv[1:]
    logging.disable(logging.WARNING)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    run = {"ours": ours, "shipped": shipped}[which]
    found = run(uri, int(trials), int(slots), Path(folder))
    instant_training.say(Path(folder) / f"{which}.json", found)
    ray.shutdown()


if __name__ == "__main__":
    main()
