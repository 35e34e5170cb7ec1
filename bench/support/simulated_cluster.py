"""Simulate a cluster: a real driver, and slots whose trainings are formulas.

What decides and what writes is real: rule, sampler, ledger with its fsync. The clock is made up: an
epoch takes no time, and the driver is asked and told as fast as it can answer.
"""

import heapq
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bench.support import formula_search
from search.engine.controller import SearchController
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler import sampler
from search.scheduler.policy import AshaPolicy, ladder
from spkmodel.worker.results import EpochReport, SavedCheckpoint, TrainingFailed, WorkerResult

EPOCH_SECONDS = 60.0
"""Median; an epoch of the same trial takes about the same."""

_DIVERGES, _CRASHES = 0.02, 0.01
"""Share of trials, and of epochs."""


@dataclass
class Measured:
    """How long the driver took for each part, in seconds of the wall clock."""

    report: list[float] = field(default_factory=list)
    """To take in an epoch: written, judged."""
    ask: list[float] = field(default_factory=list)
    """To say what a free slot is to do, unless that is a new trial."""
    new: list[tuple[int, float]] = field(default_factory=list)
    """To make up and write down a new trial, with the number of trials so far."""
    suggest: list[tuple[int, float]] = field(default_factory=list)
    """Of that the sampler, with the number of trials so far."""
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Bytes that the process holds, with the number of trials so far."""
    simulated: float = 0.0
    """Seconds of the made-up clock."""


class Simulation:
    """One search on simulated slots."""

    def __init__(self, folder: Path, trials: int, slots: int, epochs: int, seed: int) -> None:
        self.measured = Measured()
        self.truth = formula_search.truth_of(seed)
        self.ledger = Ledger.open(folder / "ledger.jsonl", write=True)
        self.state = SearchState()
        self.policy = AshaPolicy(rungs=ladder(epochs), trials=trials)
        self._folder = folder
        self._slots = slots
        self._chance = np.random.default_rng([seed, 3])
        self._now = 0.0
        self._due: list[tuple[float, int, str, int]] = []
        self._counted = 0
        begun = formula_search.search_event(self.policy, seed, slots)
        self.state.apply(self.ledger.append(begun))
        self.driver = SearchController(
            self.ledger,
            self.state,
            formula_search.SPACE,
            self.policy,
            lambda _, attempt, to_rung: {"attempt": attempt, "to_rung": to_rung},
            seed=seed,
            strategy="tpe",
        )

    def run(self, at: Callable[[int], None] = lambda _: None) -> None:
        """Run the search to its end; call `at` with the number of trials at every new one."""
        with self._suggestions_timed():
            self.driver.begin()
            self._fill(at)
            while self._due:
                self._now, _, name, attempt = heapq.heappop(self._due)
                self.driver.poll()
                if self._over(self.state.trials[name], attempt):
                    self.driver.on_attempt_finished(name, attempt)
                    self._fill(at)
                else:
                    self._schedule(name, attempt)
            self.driver.finish()
        self.measured.simulated = self._now

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    # --- slots -------------------------------------------------------------------------------

    def _fill(self, at: Callable[[int], None]) -> None:
        """Start segments on the free slots, as far as there are any."""
        while len(self._due) < self._slots:
            before, began = len(self.state.trials), time.perf_counter()
            segment = self.driver.next_segment()
            took = time.perf_counter() - began
            if len(self.state.trials) == before:
                self.measured.ask.append(took)
            else:
                self.measured.new.append((before, took))
                if before % 50 == 0:
                    self.measured.memory.append((before, resident()))
                at(before + 1)
            if isinstance(segment, str):
                return
            trial, config = segment
            self._schedule(trial.trial, config["attempt"])

    def _schedule(self, name: str, attempt: int) -> None:
        """Schedule the end of a trial's next epoch."""
        self._counted += 1
        pace = 1 + int(name[1:]) * 7919 % 1000 / 1000
        seconds = EPOCH_SECONDS * pace / 1.5 * float(self._chance.lognormal(0, 0.1))
        heapq.heappush(self._due, (self._now + seconds, self._counted, name, attempt))

    def _over(self, trial: TrialRecord, attempt: int) -> bool:
        """Report an epoch that has ended; return whether its segment is over."""
        if self._chance.random() < _CRASHES:
            self.driver.on_attempt_finished(trial.trial, attempt, "the worker died")
            return True
        result = self._result(trial, attempt)
        began = time.perf_counter()
        over = self.driver.on_result(result)
        self.measured.report.append(time.perf_counter() - began)
        return over

    def _result(self, trial: TrialRecord, attempt: int) -> WorkerResult:
        """Return what a training would report of its epoch."""
        epoch = trial.epoch + 1
        eer = self.truth.dev_eer(trial.axes) * (1 + 0.5 * math.exp(-epoch / 3))
        eer += float(self._chance.normal(0, 0.003))
        metrics = {
            "dev_eer": eer,
            "dev_eer_low": eer - 0.01,
            "dev_eer_high": eer + 0.01,
            "dev_min_dcf_p01": 5 * eer,
            "train_loss": 1 / epoch,
            "learning_rate": trial.axes["learning_rate"],
            "utterances_per_second": 100.0,
        }
        place = self._folder / "trials" / trial.trial / f"e{epoch:04d}-{attempt}"
        saved = SavedCheckpoint(str(place), trial.signature * 8, _small_checkpoint(place))
        if int(trial.signature, 16) % 10_000 < 10_000 * _DIVERGES:
            return TrainingFailed(trial.trial, attempt, epoch, "diverged: loss is nan")
        return EpochReport(trial.trial, attempt, epoch, metrics, EPOCH_SECONDS, saved)

    @contextmanager
    def _suggestions_timed(self) -> Iterator[None]:
        suggest = sampler.suggest

        def timed(*arguments: Any) -> sampler.Suggestion | None:
            began = time.perf_counter()
            idea = suggest(*arguments)
            took = time.perf_counter() - began
            self.measured.suggest.append((len(self.state.trials), took))
            return idea

        with mock.patch.object(sampler, "suggest", timed):
            yield

    def regret(self) -> float:
        """Return how far the best config tried is from the optimum, without noise."""
        best = min(self.truth.dev_eer(trial.axes) for trial in self.state.trials.values())
        return best - self.truth.floor


def _small_checkpoint(place: Path) -> int:
    """Write a folder that looks like a checkpoint to the driver; return its bytes."""
    place.mkdir(parents=True)
    return (place / "state.json").write_bytes(b"{}")


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])
