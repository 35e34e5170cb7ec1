"""This project's own controller, sampler and scheduler, driven without Ray and without a disk."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from bench.simulate.clock import Job, SimulatedClock
from bench.simulate.curves import EPOCHS, Family
from bench.support.formula_search import search_event
from search.engine.controller import SearchController
from search.ledger.kinds import Strategy
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.sampler import sampler
from search.scheduler.policy import AshaPolicy, ladder
from search.space import model_size
from search.space.branches import Space
from spkmodel.worker.results import EpochReport, SavedCheckpoint, TrainingFailed


@dataclass(frozen=True)
class Settings:
    """What may differ between two searches of ours."""

    strategy: Strategy = "tpe"
    eta: int = 3
    rungs: tuple[int, ...] = ladder(EPOCHS)


class SimulatedSearch:
    """One search: asked and told through the real controller, which writes a real ledger."""

    def __init__(
        self,
        family: Family,
        settings: Settings,
        folder: Path,
        seed: int,
        budget: float,
        workers: int,
        clock: SimulatedClock,
    ) -> None:
        self.rungs = settings.rungs
        self._folder = folder
        self._ledger = Ledger.open(folder / "ledger.jsonl", write=True)
        self._state = SearchState()
        policy = AshaPolicy(rungs=settings.rungs, eta=settings.eta, hours=budget / 3600)
        begun = search_event(policy, seed, workers)
        begun = begun.model_copy(update={"space": family.space.name})
        self._state.apply(self._ledger.append(begun))
        self._controller = SearchController(
            self._ledger,
            self._state,
            family.space,
            policy,
            lambda _, attempt, to_rung: {"attempt": attempt, "to_rung": to_rung},
            seed=seed,
            strategy=settings.strategy,
            clock=clock,
        )
        self._controller.begin()
        self._attempts: dict[str, int] = {}

    def next_job(self) -> Job | None:
        """Ask the controller for a segment."""
        segment = self._controller.next_segment()
        if isinstance(segment, str):
            return None
        trial, config = segment
        self._attempts[trial.trial] = config["attempt"]
        return Job(trial.trial, trial.axes, trial.epoch)

    def on_epoch(self, trial: str, epoch: int, eer: float) -> bool:
        """Report an epoch as a worker does."""
        metrics = {"dev_eer": eer, "dev_eer_low": max(0.0, eer - 0.01), "dev_eer_high": eer + 0.01}
        attempt = self._attempts[trial]
        place = self._folder / "trials" / trial / f"e{epoch:04d}-{attempt}"
        # The controller goes on only from a checkpoint that is there.
        place.mkdir(parents=True)
        size = (place / "state.json").write_bytes(b"{}")
        saved = SavedCheckpoint(str(place), "0" * 64, size)
        report = EpochReport(trial, attempt, epoch, metrics, 1.0, saved)
        if not self._controller.on_result(report):
            return True
        self._controller.on_attempt_finished(trial, attempt)
        return False

    def on_divergence(self, trial: str, epoch: int) -> None:
        """Report a training that diverged."""
        attempt = self._attempts[trial]
        self._controller.on_result(TrainingFailed(trial, attempt, epoch, "diverged: loss is nan"))
        self._controller.on_attempt_finished(trial, attempt)

    def axes_of(self, trial: str) -> dict[str, Any]:
        """Return the answers that a trial was made of."""
        return self._state.trials[trial].axes

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()


def random_axes(space: Space, seed: int) -> dict[str, Any]:
    """Return answers drawn at random, with the sampler of a search."""
    nothing = AshaPolicy((1,), trials=1)
    idea = sampler.suggest(space, SearchState(), nothing, seed, "random")
    assert idea is not None
    return idea.axes


@contextmanager
def opened(
    family: Family,
    settings: Settings,
    seed: int,
    budget: float,
    workers: int,
    clock: SimulatedClock,
) -> Iterator[SimulatedSearch]:
    """Open a search whose ledger is in memory and is not fsynced: no disk is measured here."""
    with (
        tempfile.TemporaryDirectory(
            dir="/dev/shm" if Path("/dev/shm").is_dir() else None
        ) as folder,
        mock.patch.object(os, "fsync", return_value=None),
        mock.patch.object(model_size, "count_encoder_weights", return_value=100_000),
    ):
        search = SimulatedSearch(family, settings, Path(folder), seed, budget, workers, clock)
        try:
            yield search
        finally:
            search.close()
