"""Run one training: build everything from a config, train epoch by epoch, save and load its state.

All random numbers are a function of (config.seed, epoch), so a training that resumes at the start
of an epoch continues bit for bit without a saved generator. One that was interrupted between two
steps also restores the generators, the position and the figures of that epoch
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
from spkmodel.core.device_copy import copy_to_device
from spkmodel.core.progress import Progress, silent
from spkmodel.data.store import Store
from spkmodel.nn import encoders
from spkmodel.training import batches, saved_state, warm_start
from spkmodel.training.epoch_state import (
    EpochInterrupted,
    EpochResult,
    EpochState,
    ShouldStop,
    count_steps,
    never_stop,
    seeded,
)
from spkmodel.training.nan_guard import NaNGuard
from spkmodel.training.networks import TrainedNetworks
from spkmodel.training.optimise import Stepper
from spkmodel.training.schedules import learning_rate
from spkmodel.training.stages import Stage, stage_at


class Training:
    """A network, its loss and its optimiser on one corpus, advanced epoch by epoch."""

    def __init__(
        self,
        config: TrainConfig,
        store: Store,
        noise_and_rooms: NoiseAndRooms,
        device: torch.device | str = "cpu",
        warm: checkpoint.Checkpoint | None = None,
    ) -> None:
        """Build everything, on weights drawn from the seed or on those of `warm`.

        Raises:
            ValueError: if config, corpus, noise and rooms and `warm` do not fit together.
        """
        self.config = config
        self.epoch = 0
        """Epochs trained so far."""
        self.start = "weights drawn from the seed"
        """What the first weights were, for people."""
        self._store = store
        config.check_corpus(store.utterances_of_speakers, store.longest_seconds)
        self._noise_and_rooms = noise_and_rooms
        self._device = torch.device(device)
        self._nan_guard = NaNGuard(self._device, at_once=self._device.type == "cpu")
        self._stage = stage_at(config, 1)
        self._steps = 0
        """Of the optimiser in this stage."""
        self._interrupted: EpochState | None = None
        """The epoch that was interrupted between two steps."""
        self._finished: EpochState | None = None
        """The epoch that was trained last, to its end."""
        # Encoder first: equal seeds must draw equal weights in every version.
        with seeded(config.seed, 0):
            encoder = encoders.build(config.encoder).to(self._device)
            loss = self._build_loss(self._stage)
        self._is_warm = warm is not None
        if warm is not None:
            self.start = warm_start.apply(warm, config, encoder, loss, store.train_speakers)
        self._networks = TrainedNetworks(encoder, loss, config.ema)
        self._augment = Augmenter(self._stage.augment, noise_and_rooms, self._device)
        self._stepper = Stepper(config.optimiser, self.weights(), config.gradient_clip)

    @property
    def encoder(self) -> nn.Module:
        """The encoder that the optimiser works on."""
        return self._networks.encoder

    @property
    def evaluated_encoder(self) -> nn.Module:
        """The encoder to evaluate and keep: the averaged one where an average is kept."""
        return self._networks.evaluated_encoder

    def weights(self) -> dict[str, nn.Parameter]:
        """Return all weights that are trained, of encoder and loss, by the names of the state."""
        return self._networks.weights()

    def run_epoch(
        self, progress: Progress = silent, should_stop: ShouldStop = never_stop
    ) -> EpochResult:
        """Train one epoch, or the rest of an interrupted one.

        Raises:
            Diverged: if a loss or a gradient's norm is not finite; the result of such an epoch is
                never returned. On the CPU the weights are then those of the step before, elsewhere
                they may not be finite either.
            EpochInterrupted: `should_stop` returned True after a step. `state` is then of the
                middle of the epoch, and `run_epoch` continues from there, here or wherever that
                state was loaded, as if the epoch had never been interrupted.
        """
        started = time.monotonic()
        here = self._interrupted or EpochState.from_start(self.config.seed, self.epoch + 1)
        self._interrupted = self._finished = None
        self._enter(stage_at(self.config, here.number))
        self._networks.set_training_mode()
        plan = batches.batches_of_epoch(
            self._store,
            self._stage.batches,
            self.config.seed,
            here.number,
            self._stage.augment.speed,
        )
        self.config.check_epoch(len(plan))
        self._check_start(here)
        self._nan_guard.begin(here.number)
        # An epoch that diverged or crashed may have left a gradient behind.
        self._stepper.drop_gradient()
        with here.own_generators(self.config.seed, self._device):
            is_whole = self._train_batches(here, plan, progress, should_stop)
            here.save_generators(self._device)
        self._nan_guard.end()
        here.seconds += time.monotonic() - started
        if not is_whole:
            self._interrupted = here
            share = self.config.batches_per_step
            raise EpochInterrupted(
                here.number, count_steps(here.batches, share), count_steps(len(plan), share)
            )
        self.epoch, self._finished = here.number, here
        return here.result()

    def _train_batches(
        self,
        here: EpochState,
        plan: batches.EpochBatches,
        progress: Progress,
        should_stop: ShouldStop,
    ) -> bool:
        """Train the remaining batches; return whether the epoch was trained to its end."""
        share = self.config.batches_per_step
        for waveforms, labels in plan.from_batch(here.batches):
            losses.set_epochs(self._networks.loss, self.epoch + here.batches / len(plan))
            output = self._accumulate(self._augmented(waveforms, labels, here.generator), labels)
            here.add_batch(len(labels), {"loss": output.loss} | output.parts)
            is_step = here.batches % share == 0 or here.batches == len(plan)
            if is_step:
                here.rate = self._step(here.batches, len(plan))
            progress(here.batches, len(plan))
            # Never between the batches of one step: the state holds no gradient.
            if is_step and should_stop():
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
        """Undo the end of the epoch just trained, so that it counts as interrupted.

        `state` is then of its middle, with every step done. Nothing may have used its result.
        """
        assert self._finished is not None, "no epoch was trained"
        self._interrupted, self._finished = self._finished, None
        self.epoch -= 1
        steps = count_steps(self._interrupted.batches, self.config.batches_per_step)
        return EpochInterrupted(self._interrupted.number, steps, steps)

    def _augmented(self, waveforms: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        # With speed perturbation, a speaker has one class for each rate but stays one person, whose
        # voice must not be in the babble behind the same voice.
        speakers = labels % len(self._store.train_speakers)
        return self._augment(self._to_device(waveforms), generator, speakers)

    def _accumulate(self, waveforms: Tensor, speakers: Tensor) -> losses.LossOutput:
        """Compute the loss of one batch and add its gradient to that of the step."""
        with torch.autocast(
            self._device.type,
            dtype=torch.bfloat16,
            enabled=self.config.precision == "bfloat16",
        ):
            embeddings = self.encoder(waveforms)
        # Losses are float32 always: bfloat16 keeps three digits of a cosine, margins need more.
        output: losses.LossOutput = self._networks.loss(
            embeddings.float(), self._to_device(speakers)
        )
        self._nan_guard.see("the loss", output.loss)
        share = self.config.batches_per_step
        torch.autograd.backward(output.loss if share == 1 else output.loss / share)
        return output

    def _step(self, batch: int, batches_of_epoch: int) -> float:
        """Make a step of the optimiser after that batch, counted from 1; return its rate."""
        share, stage = self.config.batches_per_step, self._stage
        step, steps = count_steps(batch, share), count_steps(batches_of_epoch, share)
        self._steps += 1
        rate = learning_rate(
            stage.schedule,
            stage.learning_rate,
            epochs=self.epoch + 1 - stage.first_epoch + step / steps,
            steps=self._steps,
        )
        self._nan_guard.see("the gradient's norm", self._stepper.gradient_norm())
        self._stepper.step(rate)
        self._networks.update_average()
        return rate

    def _enter(self, stage: Stage) -> None:
        """Change what differs from the stage before; the loss keeps its weights."""
        if stage == self._stage:
            return
        if stage.loss != self._stage.loss:
            with seeded(self.config.seed, 0):  # what is drawn here is not used
                self._networks.replace_loss(self._build_loss(stage))
        if stage.augment != self._stage.augment:
            self._augment = Augmenter(stage.augment, self._noise_and_rooms, self._device)
        self._stage, self._steps = stage, 0

    def _build_loss(self, stage: Stage) -> nn.Module:
        return losses.build(
            stage.loss,
            embedding_dim=self.config.encoder.embedding_dim,
            speakers=self.config.classes(len(self._store.train_speakers)),
            most_utterances=stage.batches.utterances,
        ).to(self._device)

    def _to_device(self, tensor: Tensor) -> Tensor:
        return copy_to_device(tensor, self._device)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a training needs to continue: named tensors, and what JSON can hold.

        The tensors are those of `TrainedNetworks.tensors` and of the optimiser; `under_way.` is the
        state of an interrupted epoch. `epoch` counts the epochs that are whole.
        """
        moments, numbers = self._stepper.state()
        tensors = {f"optimiser.{name}": tensor for name, tensor in moments.items()}
        tensors |= self._networks.tensors()
        state = {
            "format": saved_state.FORMAT,
            "config": self.config.model_dump(mode="json"),
            "signature": self.config.signature,
            "epoch": self.epoch,
            "speakers": list(self._store.train_speakers),
            "corpus_sha256": self._store.sha256,
            "device": self._device.type,
            "optimiser": numbers,
            "stage_steps": self._steps,
            "averaged_steps": self._networks.averaged_steps,
        }
        if self._interrupted is not None:
            part, numbers_of_part = self._interrupted.state()
            tensors |= {f"under_way.{name}": tensor for name, tensor in part.items()}
            state |= {"format": saved_state.FORMAT_WITHIN_EPOCH, "under_way": numbers_of_part}
        return {name: tensor.detach().cpu() for name, tensor in tensors.items()}, state

    def load(self, saved: checkpoint.Checkpoint) -> None:
        """Continue from a checkpoint of the same config and corpus.

        Raises:
            checkpoint.CheckpointError: if it is another training's, or a later version's.
        """
        saved_state.check_loadable(saved.state, self.config, self._store.train_speakers)
        self._networks.load(saved)
        moments, numbers = saved.below("optimiser"), saved.state["optimiser"]
        self.epoch = int(saved.state["epoch"])
        part = saved.state.get("under_way")
        self._interrupted = self._finished = None
        if part is not None:
            self._interrupted = EpochState.from_state(saved.below("under_way"), part, self._device)
        # Before the optimiser's moments are loaded: a stage may replace the loss.
        self._enter(
            stage_at(self.config, self._interrupted.number if self._interrupted else self.epoch)
        )
        if saved.state["format"] == 1:
            moments, numbers = self._stepper.named_state(moments, numbers)
        else:
            self._steps = int(saved.state["stage_steps"])
        self._stepper.load(moments, numbers)
