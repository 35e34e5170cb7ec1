"""One training: everything built from a config, one epoch at a time, state out and in.

All chance is a function of (config.seed, epoch), so a training that resumes at an epoch's start
continues as if it had never stopped, without a saved generator.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from spkmodel import batches, checkpoint, encoders, losses
from spkmodel.augment import Augmenter
from spkmodel.config import Adam, AdamW, Constant, Cosine, CosineRestarts, Schedule, TrainConfig
from spkmodel.progress import Progress, silent
from spkmodel.store import Store
from spkmodel.surroundings import Surroundings


class Diverged(RuntimeError):
    """The loss or the gradient is no longer finite."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch was like; `parts` are the loss's own figures, averaged over batches."""

    train_loss: float
    learning_rate: float
    """At the epoch's last step."""
    utterances_per_second: float
    parts: dict[str, float]


class Training:
    """A network, its loss and its optimiser on one corpus, advanced epoch by epoch."""

    def __init__(
        self,
        config: TrainConfig,
        store: Store,
        surroundings: Surroundings,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.epoch = 0
        """Epochs trained so far."""
        self._store = store
        config.check_corpus(
            len(store.train_speakers),
            store.utterances_of_most(config.batches.speakers),
            store.longest_seconds,
        )
        self._device = torch.device(device)
        self._augment = Augmenter(config.augment, surroundings)
        with _seeded(config.seed, 0):
            self.encoder = encoders.build(config.encoder).to(self._device)
            self._loss = losses.build(
                config.loss,
                embedding_dim=config.encoder.embedding_dim,
                speakers=config.classes(len(store.train_speakers)),
            ).to(self._device)
        self._optimiser = _optimiser(
            config.optimiser, [*self.encoder.parameters(), *self._loss.parameters()]
        )

    def run_epoch(self, progress: Progress = silent) -> EpochResult:
        """Train one epoch.

        Raises:
            Diverged: at the first loss or gradient norm that is not finite; the weights are then
                those of the step before.
        """
        epoch = self.epoch + 1
        started = time.monotonic()
        sums: dict[str, float] = defaultdict(float)
        self.encoder.train()
        self._loss.train()
        generator = torch.Generator().manual_seed(_mixed(self.config.seed, epoch))
        steps = batches.batches_of_epoch(self._store, self.config.batches, self.config.seed, epoch)
        utterances, rate, count = 0, 0.0, len(steps)
        if count == 0:
            raise ValueError(
                f"batches: not one batch of {self.config.batches.speakers} speakers x "
                f"{self.config.batches.utterances} utterances can be made from this corpus; "
                "use smaller batches"
            )
        with _seeded(self.config.seed, epoch):
            for step, (waveforms, speakers) in enumerate(steps):
                rate = learning_rate(
                    self.config.schedule,
                    self.config.optimiser.learning_rate,
                    epochs=self.epoch + (step + 1) / count,
                )
                figures = self._step(self._augment(waveforms, generator), speakers, rate)
                for name, value in figures.items():
                    sums[name] += value
                utterances += len(speakers)
                progress(step + 1, count)
        self.epoch = epoch
        means = {name: value / count for name, value in sums.items()}
        return EpochResult(
            train_loss=means.pop("loss"),
            learning_rate=rate,
            utterances_per_second=utterances / (time.monotonic() - started),
            parts=means,
        )

    def _step(self, waveforms: Tensor, speakers: Tensor, rate: float) -> dict[str, float]:
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        output = self._loss(self.encoder(waveforms.to(self._device)), speakers.to(self._device))
        loss = float(output.loss.detach())
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss} in epoch {self.epoch + 1}")
        self._optimiser.zero_grad(set_to_none=True)
        output.loss.backward()
        weights = [weight for group in self._optimiser.param_groups for weight in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(weights, self.config.gradient_clip))
        if not math.isfinite(norm):
            raise Diverged(f"the gradient's norm is {norm} in epoch {self.epoch + 1}")
        self._optimiser.step()
        return {"loss": loss} | {name: float(value) for name, value in output.parts.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that a training needs to go on: named tensors, and what JSON can hold."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("encoder", self.encoder), ("loss", self._loss)):
            for name, tensor in module.state_dict().items():
                tensors[f"{prefix}.{name}"] = tensor.detach().cpu()
        optimiser = self._optimiser.state_dict()
        numbers: dict[str, dict[str, Any]] = {}
        for index, entries in optimiser["state"].items():
            for name, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{index}.{name}"] = value.detach().cpu()
                else:
                    numbers.setdefault(str(index), {})[name] = value
        state = {
            "format": 1,
            "config": self.config.model_dump(mode="json"),
            "signature": self.config.signature,
            "epoch": self.epoch,
            "speakers": list(self._store.train_speakers),
            "corpus_sha256": self._store.sha256,
            "device": self._device.type,
            "optimiser": numbers,
        }
        return tensors, state

    def load(self, saved: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint of the same config and corpus.

        Raises:
            checkpoint.CheckpointError: if it is another training's.
        """
        if saved.state["signature"] != self.config.signature:
            raise checkpoint.CheckpointError(
                f"the checkpoint is of config {saved.state['signature']}, "
                f"this training is of {self.config.signature}"
            )
        if saved.state["speakers"] != list(self._store.train_speakers):
            raise checkpoint.CheckpointError(
                "the checkpoint was trained on other speakers than this corpus lists"
            )
        for prefix, module in (("encoder", self.encoder), ("loss", self._loss)):
            module.load_state_dict(_below(saved.tensors, prefix))
        self._optimiser.load_state_dict(
            {
                "state": _optimiser_state(saved),
                "param_groups": self._optimiser.state_dict()["param_groups"],
            }
        )
        self.epoch = int(saved.state["epoch"])


def learning_rate(schedule: Schedule, full: float, epochs: float) -> float:
    """The learning rate after `epochs` epochs (a fraction counts the steps of the current one)."""
    match schedule:
        case Constant():
            return full * _warm(epochs, schedule.warmup_epochs)
        case Cosine():
            if epochs < schedule.warmup_epochs:
                return full * _warm(epochs, schedule.warmup_epochs)
            span = schedule.epochs - schedule.warmup_epochs
            return full * _half_cosine(min(1.0, (epochs - schedule.warmup_epochs) / span))
        case CosineRestarts():
            start, end = _cycle(schedule, epochs)
            done = (epochs - start) / (end - start)
            if done < schedule.warmup_fraction:
                return full * _warm(done, schedule.warmup_fraction)
            fall = _half_cosine((done - schedule.warmup_fraction) / (1 - schedule.warmup_fraction))
            return full * (schedule.floor + (1 - schedule.floor) * fall)
        case _:
            assert_never(schedule)


def _warm(done: float, length: float) -> float:
    return 1.0 if length == 0 else min(1.0, done / length)


def _half_cosine(done: float) -> float:
    """1 at the start, 0 at the end."""
    return 0.5 * (1 + math.cos(math.pi * done))


def _cycle(schedule: CosineRestarts, epochs: float) -> tuple[float, float]:
    """Start and end, in epochs, of the cycle that the moment `epochs` lies in or ends."""
    start, end = 0.0, float(schedule.first_epochs)
    while epochs > end + 1e-9:
        start, end = end, end * schedule.growth
    return start, end


def _optimiser(config: Adam | AdamW, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
    match config:
        case Adam():
            return torch.optim.Adam(weights, lr=config.learning_rate, weight_decay=config.l2)
        case AdamW():
            groups: list[dict[str, Any]] = [
                {"params": [weight for weight in weights if weight.ndim > 1]},
                # Norms, biases and learned scales do not overfit, and decay would only fight the
                # margin losses' scale.
                {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(
                groups, lr=config.learning_rate, weight_decay=config.weight_decay
            )
        case _:
            assert_never(config)


def _optimiser_state(saved: checkpoint.Checkpoint) -> dict[int, dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = defaultdict(dict)
    for name, tensor in _below(saved.tensors, "optimiser").items():
        index, _, key = name.partition(".")
        entries[int(index)][key] = tensor
    for index, numbers in saved.state["optimiser"].items():
        entries[int(index)] |= numbers
    return dict(entries)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def _mixed(seed: int, epoch: int) -> int:
    """One seed from two numbers; the constants only keep neighbouring seeds apart."""
    return (seed * 1_000_003 + epoch * 7_919 + 17) % (2**63)


@contextmanager
def _seeded(seed: int, epoch: int) -> Iterator[None]:
    """Seed torch's own generator, which dropout and initialisation draw from, and put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(_mixed(seed, epoch))
        yield
