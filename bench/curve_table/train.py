"""Train one config of the table to its end, judged after every epoch in both conditions."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from bench.curve_table.space import EPOCHS, space
from search.core.paths import home
from spkmodel.augment.conditions import conditioned_store
from spkmodel.augment.noise_and_rooms import NoiseAndRooms, open_noise_and_rooms
from spkmodel.config import TrainConfig
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import Pair, TrainEntry
from spkmodel.data.splits import balanced_pairs
from spkmodel.data.store import Store
from spkmodel.data.store_writing import pack_corpus
from spkmodel.training.nan_guard import Diverged
from spkmodel.training.trainer import Training
from spkmodel.verification.embed_and_score import evaluate_encoder
from spkmodel.verification.scoring import Collapsed

CONFIGS, REPEATED, SEEDS = 48, 12, 3
"""Configs; how many of them, the first ones, are trained with how many seeds."""

MOST_CPU_SECONDS = 150.0
"""Of one training; one that takes longer is cut there, and the table says so."""

_DEV_UTTERANCES = 5
"""Of each dev speaker: they are embedded 54 times in a training."""


@dataclass(frozen=True)
class Run:
    """One training of the table."""

    config: int
    seed: int

    @property
    def file(self) -> str:
        """The name of its result."""
        return f"c{self.config:03d}-s{self.seed}.json"


def planned() -> list[Run]:
    """Return every training of the table: all configs once, then the other seeds."""
    first = [Run(config, 0) for config in range(CONFIGS)]
    again = [Run(config, seed) for seed in range(1, SEEDS) for config in range(REPEATED)]
    return first + again


def draw(config: int) -> tuple[dict[str, Any], TrainConfig]:
    """Return the answers of a config of the table, by its number, and the config."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1000 + config))
    trial = study.ask()
    built = space(trial)
    return dict(trial.params), built


class Bench:
    """The corpus, its dev pairs in both conditions, ambiences and rooms, opened once."""

    def __init__(self, corpus: Path, noise: Path, rooms: Path) -> None:
        self.store = Store.open(pack_corpus(open_corpus(corpus), home()))
        self.mismatched = conditioned_store(self.store, "dev", "mismatched", noise, rooms)
        self.around: NoiseAndRooms = open_noise_and_rooms(noise, rooms, "train")
        self.pairs = _dev_pairs(self.store)

    def train(self, run: Run) -> dict[str, Any]:
        """Train to the end; return what the table holds of it."""
        axes, config = draw(run.config)
        config = config.model_copy(update={"seed": run.seed})
        training = Training(config, self.store, self.around)
        epochs: list[dict[str, float | None]] = []
        failure, began = "", time.process_time()
        while training.epoch < EPOCHS and not failure:
            started = time.process_time()
            try:
                result = training.run_epoch()
                trained = time.process_time() - started
                judged = self._judge(training)
            except (Diverged, Collapsed) as error:
                failure = f"{type(error).__name__.lower()} in epoch {training.epoch + 1}: {error}"
                break
            epochs.append({"train_loss": result.train_loss, "train_seconds": trained, **judged})
            epochs[-1]["seconds"] = time.process_time() - started
            if time.process_time() - began > MOST_CPU_SECONDS and training.epoch < EPOCHS:
                failure = f"cut after {training.epoch} epochs: {MOST_CPU_SECONDS:.0f} CPU seconds"
        return {
            **asdict(run),
            "axes": axes,
            "signature": config.signature,
            "parameters": sum(weight.numel() for weight in training.encoder.parameters()),
            "pairs": len(self.pairs),
            "failure": failure,
            "epochs": epochs,
        }

    def _judge(self, training: Training) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for condition, store in (("clean", self.store), ("mismatched", self.mismatched)):
            verdict = evaluate_encoder(training.evaluated_encoder, store, self.pairs)
            found |= {
                f"{condition}_eer": verdict.eer,
                f"{condition}_low": verdict.low,
                f"{condition}_high": verdict.high,
            }
        return found


def _dev_pairs(store: Store) -> list[Pair]:
    """Draw pairs of a few utterances of each dev speaker, as many target as non-target ones."""
    chosen: dict[str, list[str]] = {}
    for path in sorted(store.of_split("dev")):
        chosen.setdefault(store.speaker(path), []).append(path)
    entries = [
        TrainEntry(speaker, path)
        for speaker, paths in sorted(chosen.items())
        for path in paths[:_DEV_UTTERANCES]
    ]
    return balanced_pairs(entries, 10_000, np.random.default_rng(0))


def write(folder: Path, run: Run, found: dict[str, Any]) -> None:
    """Write a result under its final name once it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{run.file}.{os.getpid()}.part"
    beside.write_text(json.dumps(found), encoding="utf-8")
    beside.replace(folder / run.file)


def train_missing(
    corpus: Path, noise: Path, rooms: Path, folder: Path, minutes: float, part: tuple[int, int]
) -> None:
    """Train what has no result yet, until the time is up; `part` is (number, of how many)."""
    torch.set_num_threads(1)
    bench = Bench(corpus, noise, rooms)
    until = time.monotonic() + 60 * minutes
    number, parts = part
    for place, run in enumerate(planned()):
        if place % parts != number or (folder / run.file).exists():
            continue
        if time.monotonic() > until:
            print("time is up; the same command goes on from here")
            return
        found = bench.train(run)
        write(folder, run, found)
        print(_line(run, found), flush=True)


def _line(run: Run, found: dict[str, Any]) -> str:
    last = found["epochs"][-1] if found["epochs"] else {}
    eers = " ".join(f"{100 * last[f'{c}_eer']:.1f}" for c in ("clean", "mismatched") if last)
    seconds = sum(epoch["seconds"] for epoch in found["epochs"])
    kind = f"{found['axes']['encoder']}, {found['axes']['loss']}"
    return f"{run.file} {kind}: {eers} %, {seconds:.0f} CPU s {found['failure']}"
