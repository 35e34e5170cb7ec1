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
from typing import Any

import torch
from torch import Tensor, nn

from spkmodel import batches, checkpoint, encoders, losses, warm_start
from spkmodel.augment import Augmenter
from spkmodel.averaging import WeightAverage, named
from spkmodel.config import TrainConfig
from spkmodel.optimise import Stepper
from spkmodel.progress import Progress, silent
from spkmodel.schedules import learning_rate
from spkmodel.stages import Stage, stage_of
from spkmodel.store import Store
from spkmodel.surroundings import Surroundings

_FORMAT = 2
_CHECK_EVERY = 100
"""Numbers, on an accelerator: to ask whether one is finite waits for all the work before it."""


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
        warm: checkpoint.Checkpoint | None = None,
    ) -> None:
        """Build everything, on weights drawn from the seed or on those of `warm`.

        Raises:
            ValueError: if config, corpus, surroundings and `warm` do not fit together.
        """
        self.config = config
        self.epoch = 0
        """Epochs trained so far."""
        self.start = "weights drawn from the seed"
        """What the first weights were, for people."""
        self._store = store
        config.check_corpus(
            len(store.train_speakers),
            store.utterances_of_most(config.batches.speakers),
            store.longest_seconds,
        )
        self._surroundings = surroundings
        self._device = torch.device(device)
        self._watch = _Watch(self._device, at_once=self._device.type == "cpu")
        self._stage = stage_of(config, 1)
        self._steps = 0
        """Of the optimiser in this stage."""
        with _seeded(config.seed, 0):
            self.encoder = encoders.build(config.encoder).to(self._device)
            self._loss = self._built_loss(self._stage)
        self._is_warm = warm is not None
        if warm is not None:
            self.start = warm_start.apply(
                warm, config, self.encoder, self._loss, store.train_speakers
            )
        self._augment = Augmenter(self._stage.augment, surroundings, self._device)
        self._stepper = Stepper(config.optimiser, self.weights(), config.gradient_clip)
        self._average = (
            WeightAverage(config.ema, self.encoder, self._loss) if config.ema is not None else None
        )

    @property
    def judged(self) -> nn.Module:
        """The encoder to judge and keep: the averaged one where an average is kept."""
        return self.encoder if self._average is None else self._average.encoder

    def weights(self) -> dict[str, nn.Parameter]:
        """All that is trained, of encoder and loss, by the names of the state."""
        return {
            f"{prefix}.{name}": weight
            for prefix, module in self._modules().items()
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }

    def run_epoch(self, progress: Progress = silent) -> EpochResult:
        """Train one epoch.

        Raises:
            Diverged: if a loss or a gradient's norm is not finite; never is such an epoch's result
                returned. On the CPU the weights are then those of the step before, elsewhere they
                may not be finite either.
        """
        epoch, started = self.epoch + 1, time.monotonic()
        self._enter(stage_of(self.config, epoch))
        self.encoder.train()
        self._loss.train()
        plan = batches.batches_of_epoch(
            self._store, self._stage.batches, self.config.seed, epoch, self._stage.augment.speed
        )
        self.config.check_epoch(len(plan))
        if self.config.warm_start is not None and not (self._is_warm or self.epoch):
            raise ValueError(
                f"warm_start.weights={self.config.warm_start.weights!r} was not read before the "
                "first epoch"
            )
        self._watch.begin(epoch)
        self._stepper.forget()
        generator = torch.Generator().manual_seed(_mixed(self.config.seed, epoch))
        figures: dict[str, list[Tensor]] = defaultdict(list)
        utterances, rate = 0, 0.0
        with _seeded(self.config.seed, epoch):
            for number, (waveforms, labels) in enumerate(plan, start=1):
                losses.set_epochs(self._loss, self.epoch + (number - 1) / len(plan))
                output = self._gathered(self._augmented(waveforms, labels, generator), labels)
                for name, value in ({"loss": output.loss} | output.parts).items():
                    figures[name].append(value.detach())
                if number % self.config.batches_per_step == 0 or number == len(plan):
                    rate = self._step(number, len(plan))
                utterances += len(labels)
                progress(number, len(plan))
        self._watch.end()
        self.epoch = epoch
        means = {name: _mean(values) for name, values in figures.items()}
        return EpochResult(
            train_loss=means.pop("loss"),
            learning_rate=rate,
            utterances_per_second=utterances / (time.monotonic() - started),
            parts=means,
        )

    def _augmented(self, waveforms: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        # At whatever rate a class has it, a speaker is one person.
        speakers = labels % len(self._store.train_speakers)
        return self._augment(self._moved(waveforms), generator, speakers)

    def _gathered(self, waveforms: Tensor, speakers: Tensor) -> losses.LossOutput:
        """The loss of one batch, its gradient added to what the step has so far."""
        with torch.autocast(
            self._device.type,
            dtype=torch.bfloat16,
            enabled=self.config.precision == "bfloat16",
        ):
            embeddings = self.encoder(waveforms)
        output: losses.LossOutput = self._loss(embeddings.float(), self._moved(speakers))
        self._watch.see("the loss", output.loss)
        share = self.config.batches_per_step
        torch.autograd.backward(output.loss if share == 1 else output.loss / share)
        return output

    def _step(self, batch: int, batches_of_epoch: int) -> float:
        """One step of the optimiser after that batch, counted from 1; its learning rate."""
        share, stage = self.config.batches_per_step, self._stage
        step, steps = math.ceil(batch / share), math.ceil(batches_of_epoch / share)
        self._steps += 1
        rate = learning_rate(
            stage.schedule,
            stage.learning_rate,
            epochs=self.epoch + 1 - stage.first_epoch + step / steps,
            steps=self._steps,
        )
        self._watch.see("the gradient's norm", self._stepper.gradient_norm())
        self._stepper.step(rate)
        if self._average is not None:
            self._average.update()
        return rate

    def _enter(self, stage: Stage) -> None:
        """Change what differs from the stage before; the loss keeps its weights."""
        if stage == self._stage:
            return
        if stage.loss != self._stage.loss:
            with _seeded(self.config.seed, 0):  # what is drawn here is not used
                self._loss = _with_weights_of(self._loss, self._built_loss(stage))
            if self._average is not None:
                self._average.replace_loss(self._loss)
        if stage.augment != self._stage.augment:
            self._augment = Augmenter(stage.augment, self._surroundings, self._device)
        self._stage, self._steps = stage, 0

    def _built_loss(self, stage: Stage) -> nn.Module:
        return losses.build(
            stage.loss,
            embedding_dim=self.config.encoder.embedding_dim,
            speakers=self.config.classes(len(self._store.train_speakers)),
        ).to(self._device)

    def _moved(self, tensor: Tensor) -> Tensor:
        """To the device; to a GPU from pinned memory, so that nothing waits for the copy."""
        if self._device.type == "cuda" and tensor.device.type == "cpu":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def _modules(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "loss": self._loss}

    # --- state --------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that a training needs to go on: named tensors, and what JSON can hold.

        `encoder.` and `loss.` are what is judged; where that is an average, the weights that the
        optimiser works on are there as `raw.encoder.` and `raw.loss.`.
        """
        moments, numbers = self._stepper.state()
        tensors = {f"optimiser.{name}": tensor for name, tensor in moments.items()}
        if self._average is None:
            tensors |= named(self._modules())
        else:
            tensors |= self._average.tensors()
            tensors |= {f"raw.{name}": tensor for name, tensor in named(self._modules()).items()}
        state = {
            "format": _FORMAT,
            "config": self.config.model_dump(mode="json"),
            "signature": self.config.signature,
            "epoch": self.epoch,
            "speakers": list(self._store.train_speakers),
            "corpus_sha256": self._store.sha256,
            "device": self._device.type,
            "optimiser": numbers,
            "stage_steps": self._steps,
            "averaged_steps": 0 if self._average is None else self._average.steps,
        }
        return {name: tensor.detach().cpu() for name, tensor in tensors.items()}, state

    def load(self, saved: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint of the same config and corpus.

        Raises:
            checkpoint.CheckpointError: if it is another training's.
        """
        # Not the signatures: an older version's lacks the fields that came since.
        if TrainConfig.model_validate(saved.state["config"]) != self.config:
            raise checkpoint.CheckpointError(
                f"the checkpoint is of config {saved.state['signature']}, "
                f"this training is of {self.config.signature}"
            )
        if saved.state["speakers"] != list(self._store.train_speakers):
            raise checkpoint.CheckpointError(
                "the checkpoint was trained on other speakers than this corpus lists"
            )
        raw = "" if self._average is None else "raw."
        for prefix, module in self._modules().items():
            module.load_state_dict(saved.below(raw + prefix))
        if self._average is not None:
            self._average.load(saved.tensors, saved.state["averaged_steps"])
        moments, numbers = saved.below("optimiser"), saved.state["optimiser"]
        self.epoch = int(saved.state["epoch"])
        self._enter(stage_of(self.config, self.epoch))
        if saved.state["format"] == 1:
            moments, numbers = self._stepper.named_state(moments, numbers)
        else:
            self._steps = int(saved.state["stage_steps"])
        self._stepper.load(moments, numbers)


class _Watch:
    """Sees to it that what is not finite does not pass for a result."""

    def __init__(self, device: torch.device, *, at_once: bool) -> None:
        self._at_once = at_once
        self._device = device
        self.begin(0)

    def begin(self, epoch: int) -> None:
        self._epoch, self._seen = epoch, 0
        self._all_finite = torch.ones((), dtype=torch.bool, device=self._device)

    def see(self, what: str, value: Tensor) -> None:
        if self._at_once:
            number = float(value.detach())
            if not math.isfinite(number):
                raise Diverged(f"{what} is {number} in epoch {self._epoch}")
            return
        self._all_finite &= value.detach().isfinite()
        self._seen += 1
        if self._seen % _CHECK_EVERY == 0:
            self.end()

    def end(self) -> None:
        if not bool(self._all_finite):
            raise Diverged(
                f"the loss or the gradient's norm is no longer finite in epoch {self._epoch}"
            )


def _with_weights_of(source: nn.Module, module: nn.Module) -> nn.Module:
    """`module` with the very weights and buffers of `source`, which has the same names."""
    own = dict(source.named_parameters()) | dict(source.named_buffers())
    for name, tensor in own.items():
        path, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(path), leaf, tensor)
    return module


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack(values).double().mean())


def _mixed(seed: int, epoch: int) -> int:
    """One seed from two numbers; the constants only keep neighbouring seeds apart."""
    return (seed * 1_000_003 + epoch * 7_919 + 17) % (2**63)


@contextmanager
def _seeded(seed: int, epoch: int) -> Iterator[None]:
    """Seed torch's own generator, which dropout and initialisation draw from, and put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(_mixed(seed, epoch))
        yield
