"""A real search on Ray whose trainings sleep and whose results are a formula; also a program."""

import contextlib
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

from ray import tune

from search.core.errors import Interrupted
from search.engine import hang_detection, tune_runner
from search.ledger.ledger import Ledger
from search.scheduler.policy import AshaPolicy, ladder
from search.space import loader
from spkmodel.worker import results
from spkmodel.worker.processes import announce
from spkmodel.worker.results import EpochReport, PartialReport, SavedCheckpoint, TrainingFailed
from spkmodel.worker.stop_flag import StopFlag
from tests.support.events import append

SPACE = '''"""How fast should it learn?"""
from spkmodel.config import AdamW, TrainConfig
def space(trial):
    return TrainConfig(
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True))
    )
'''


STEPS_PER_EPOCH = 100
"""Of an epoch."""


class SleepingTrainable(tune.Trainable):
    """Sleeps instead of training; a checkpoint holds its epoch and the steps of the next one."""

    def setup(self, config):
        self.reset_config(config)

    def reset_config(self, new_config):
        self.segment = new_config["segment"]
        with contextlib.suppress(OSError):
            announce(Path(self.segment["folder"]), self.segment["attempt"], "")
        self.epoch = self.steps = 0
        if self.segment["resume"]:
            saved = (Path(self.segment["resume"]) / "state.json").read_text()
            self.epoch, self.steps = json.loads(saved)
        return True

    def step(self):
        try:
            return self._epoch()
        except OSError as error:
            # What a training writes names its place (`spkmodel.core.checkpoint`); all of this is
            # there.
            error.filename = error.filename or self.segment["folder"]
            raise

    def _epoch(self):
        segment = self.segment
        place = Path(segment["folder"]) / f"e{self.epoch + 1:04d}-{segment['attempt']}"
        place.mkdir(parents=True)
        (place.parent / "pid").write_text(str(os.getpid()))
        seconds = segment["knobs"].get("slow", {}).get(segment["trial"], 0.05)
        if segment["attempt"] == 1 and segment["trial"] in segment["knobs"].get("freezes", ()):
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._sleep(place.parent, seconds / STEPS_PER_EPOCH):
            (place / "state.json").write_text(json.dumps([self.epoch, self.steps]))
            return self._partial(place, seconds * self.steps / STEPS_PER_EPOCH)
        self.steps = 0
        self.epoch += 1
        if segment["trial"] in segment["knobs"].get("too_large", ()):
            raise MemoryError("no room for a tensor")
        if segment["trial"] in segment["knobs"].get("eats", ()):
            eaten = []
            while True:
                eaten.append(b"x" * (50 << 20))
                time.sleep(0.05)
        metrics = {"dev_eer": self._dev_eer(), "train_loss": 1 / self.epoch}
        if segment["trial"] in segment["knobs"].get("diverges", ()):
            why = "diverged: loss is nan"
            failed = TrainingFailed(segment["trial"], segment["attempt"], self.epoch, why)
            return results.to_tune(failed)
        if segment["trial"] in segment["knobs"].get("nan", ()):
            metrics["dev_eer"] = math.nan
        (place / "state.json").write_text(json.dumps([self.epoch, 0]))
        return self._report(place, seconds, metrics)

    def _sleep(self, folder, seconds):
        """Sleep the rest of the epoch's steps; return whether it was interrupted."""
        segment = self.segment
        with StopFlag(folder, segment["attempt"]) as stop_requested:
            while self.steps < STEPS_PER_EPOCH:
                time.sleep(seconds)
                self.steps += 1
                if stop_requested() and segment["trial"] not in segment["knobs"].get("deaf", ()):
                    return True
        return False

    def _report(self, place, seconds, metrics):
        trial, attempt = self.segment["trial"], self.segment["attempt"]
        is_last = self.epoch >= self.segment["to_epoch"]
        saved = _saved(place)
        report = EpochReport(trial, attempt, self.epoch, metrics, seconds, saved, is_last=is_last)
        return results.to_tune(report)

    def _partial(self, place, seconds):
        trial, attempt, saved = self.segment["trial"], self.segment["attempt"], _saved(place)
        epoch = self.epoch + 1
        return results.to_tune(
            PartialReport(trial, attempt, epoch, self.steps, STEPS_PER_EPOCH, seconds, saved)
        )

    def _dev_eer(self):
        rate = self.segment["config"]["optimiser"]["learning_rate"]
        return 0.1 * abs(math.log10(rate) + 2.5) + 0.1 / self.epoch


def _saved(place):
    return SavedCheckpoint(str(place), "", (place / "state.json").stat().st_size)


def run_search(
    folder,
    *,
    trials=12,
    max_epochs=9,
    poll=None,
    rule="promotion",
    slots=lambda: 2,
    patience=None,
    grace_seconds=10.0,
    **knobs,
):
    """Start a search in `folder` or resume it, and return its state afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy_space.py").write_text(SPACE)
    budgets = {"rungs": ladder(max_epochs), "trials": trials, "rule": rule}
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        state = ledger.state()
        is_same = state.settings is not None and all(
            getattr(state.search, key) == value for key, value in budgets.items()
        )
        if not is_same:
            state.apply(append(ledger, "search", **budgets))

        def settings(trial, attempt, to_rung):
            last = trial.resume_point
            segment = {
                "trial": trial.trial,
                "attempt": attempt,
                "config": trial.config,
                "to_epoch": to_rung,
                "resume": str(folder / last.checkpoint) if last else "",
                "folder": str(folder / "trials" / trial.trial),
                "knobs": knobs,
            }
            return {"segment": segment}

        tune_runner.run(
            ledger,
            state,
            loader.load(str(folder / "toy_space.py")),
            AshaPolicy.from_settings(state.search),
            SleepingTrainable,
            settings,
            resources={"cpu": 1},
            slots=slots,
            seed=0,
            storage=folder,
            poll=poll,
            patience=patience or hang_detection.HangTimeout(),
            grace_seconds=grace_seconds,
        )
    return state


if __name__ == "__main__":
    import ray

    ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
    try:
        run_search(Path(sys.argv[2]), **json.loads(sys.argv[3] if sys.argv[3:] else "{}"))
    except Interrupted as interrupted:
        os._exit(128 + interrupted.signal_number)
