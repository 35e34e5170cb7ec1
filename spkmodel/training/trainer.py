"""One training: everything built from a config, one epoch at a time, state out and in.

All chance is a function of (config.seed, epoch), so a training that resumes at an epoch's start
continues as if it had never stopped, without a saved generator. One that was left between two steps
takes up the generators, the batches and the figures of the epoch under way
(`spkmodel.training.epoch_state`).
"""

import time
from typing import Any

import torch
from torch import Tensor, nn

from spkmodel import losses
from spkmodel.augment import Augmenter
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.config import TrainConfig
from spkmodel.core import checkpoint
from spkmodel.core.progress import Progress, silent
from spkmodel.data.store import Store
from spkmodel.nn import encoders
from spkmodel.training import batches, warm_start
from spkmodel.training.averaging import WeightAverage, named
from spkmodel.training.epoch_state import (
    EpochInterrupted,
    EpochResult,
    EpochState,
    Leave,
    never,
    seeded,
    steps_of,
)
from spkmodel.training.nan_guard import NaNGuard
from spkmodel.training.optimise import Stepper
from spkmodel.training.schedules import learning_rate
from spkmodel.training.stages import Stage, stage_of

_FORMAT = 2
_FORMAT_UNDER_WAY = 3
"""Of a state in the middle of an epoch."""


class Training:
    """A network, its loss and its optimiser on one corpus, advanced epoch by epoch."""

    def __init__(
        self,
        config: TrainConfig,
        store: Store,
        surroundings: NoiseAndRooms,
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
        self._watch = NaNGuard(self._device, at_once=self._device.type == "cpu")
        self._stage = stage_of(config, 1)
        self._steps = 0
        """Of the optimiser in this stage."""
        self._left: EpochState | None = None
        """The epoch that was left between two steps."""
        self._ended: EpochState | None = None
        """The one that was trained last, to its end."""
        with seeded(config.seed, 0):
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

    def run_epoch(self, progress: Progress = silent, leave: Leave = never) -> EpochResult:
        """Train one epoch, or what is left to do of one that was left.

        Raises:
            Diverged: if a loss or a gradient's norm is not finite; never is such an epoch's result
                returned. On the CPU the weights are then those of the step before, elsewhere they
                may not be finite either.
            Left: `leave` said so after a step. `state` is then of the middle of the epoch, and
                `run_epoch` goes on from there, here or wherever that state was loaded, as if the
                epoch had never been left.
        """
        started = time.monotonic()
        here = self._left or EpochState.begun(self.config.seed, self.epoch + 1)
        self._left = self._ended = None
        self._enter(stage_of(self.config, here.number))
        self.encoder.train()
        self._loss.train()
        plan = batches.batches_of_epoch(
            self._store,
            self._stage.batches,
            self.config.seed,
            here.number,
            self._stage.augment.speed,
        )
        self.config.check_epoch(len(plan))
        self._check_start(here)
        self._watch.begin(here.number)
        self._stepper.forget()
        with here.own_chance(self.config.seed, self._device):
            is_whole = self._trained(here, plan, progress, leave)
            here.note_chance(self._device)
        self._watch.end()
        here.seconds += time.monotonic() - started
        if not is_whole:
            self._left = here
            share = self.config.batches_per_step
            raise EpochInterrupted(
                here.number, steps_of(here.batches, share), steps_of(len(plan), share)
            )
        self.epoch, self._ended = here.number, here
        return here.result()

    def _trained(
        self, here: EpochState, plan: batches.EpochBatches, progress: Progress, leave: Leave
    ) -> bool:
        """Train the batches that are left to do; whether all are done and nobody said to leave."""
        share = self.config.batches_per_step
        for waveforms, labels in plan.after(here.batches):
            losses.set_epochs(self._loss, self.epoch + here.batches / len(plan))
            output = self._gathered(self._augmented(waveforms, labels, here.generator), labels)
            here.take(len(labels), {"loss": output.loss} | output.parts)
            is_step = here.batches % share == 0 or here.batches == len(plan)
            if is_step:
                here.rate = self._step(here.batches, len(plan))
            progress(here.batches, len(plan))
            if is_step and leave():
                return False
        return True

    def _check_start(self, here: EpochState) -> None:
        is_begun = self._is_warm or self.epoch or here.batches
        if self.config.warm_start is not None and not is_begun:
            raise ValueError(
                f"warm_start.weights={self.config.warm_start.weights!r} was not read before the "
                "first epoch"
            )

    def reopen(self) -> EpochInterrupted:
        """Take back the end of the epoch just trained, before anything came of it.

        `state` is then of its middle, with every step done.
        """
        assert self._ended is not None, "no epoch was trained"
        self._left, self._ended = self._ended, None
        self.epoch -= 1
        steps = steps_of(self._left.batches, self.config.batches_per_step)
        return EpochInterrupted(self._left.number, steps, steps)

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
        step, steps = steps_of(batch, share), steps_of(batches_of_epoch, share)
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
            with seeded(self.config.seed, 0):  # what is drawn here is not used
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
        optimiser works on are there as `raw.encoder.` and `raw.loss.`. `under_way.` is what an
        epoch needs that was left; `epoch` counts those that are whole.
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
        if self._left is not None:
            part, numbers_of_part = self._left.state()
            tensors |= {f"under_way.{name}": tensor for name, tensor in part.items()}
            state |= {"format": _FORMAT_UNDER_WAY, "under_way": numbers_of_part}
        return {name: tensor.detach().cpu() for name, tensor in tensors.items()}, state

    def load(self, saved: checkpoint.Checkpoint) -> None:
        """Go on from a checkpoint of the same config and corpus.

        Raises:
            checkpoint.CheckpointError: if it is another training's, or a later version's.
        """
        if saved.state["format"] > _FORMAT_UNDER_WAY:
            raise checkpoint.CheckpointError(
                f"the checkpoint is of format {saved.state['format']}, this version of spksearch "
                f"knows up to {_FORMAT_UNDER_WAY}: go on with the version that wrote it"
            )
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
        part = saved.state.get("under_way")
        self._left = self._ended = None
        if part is not None:
            self._left = EpochState.of_state(saved.below("under_way"), part, self._device)
        self._enter(stage_of(self.config, self._left.number if self._left else self.epoch))
        if saved.state["format"] == 1:
            moments, numbers = self._stepper.named_state(moments, numbers)
        else:
            self._steps = int(saved.state["stage_steps"])
        self._stepper.load(moments, numbers)


def _with_weights_of(source: nn.Module, module: nn.Module) -> nn.Module:
    """`module` with the very weights and buffers of `source`, which has the same names."""
    own = dict(source.named_parameters()) | dict(source.named_buffers())
    for name, tensor in own.items():
        path, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(path), leaf, tensor)
    return module
