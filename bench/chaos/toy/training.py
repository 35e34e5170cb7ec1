"""Train a toy for some milliseconds an epoch in the place of a network.

Everything around it is real: the launch, Tune, the trainable with its segments, checkpoints on
disk, the ledger, MLflow. Its "weights" are four numbers that every epoch moves by a map without
memory of anything else, in a few steps; its dev EER is worked out from them. So an epoch that was
trained from the wrong checkpoint, or twice, or in part twice, has another value, and what should
have been can be worked out.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spkmodel.config import TrainConfig
from spkmodel.core import checkpoint
from spkmodel.core.progress import Progress
from spkmodel.training.epoch_state import EpochInterrupted, EpochResult, ShouldStop
from spkmodel.training.nan_guard import Diverged
from spkmodel.verification.embed_and_score import Verdict
from spkmodel.verification.scoring import Collapsed
from spkmodel.worker import trainable

EPOCH_SECONDS = "SPKSEARCH_TOY_EPOCH_SECONDS"
EPOCH_LOG = "SPKSEARCH_TOY_DIARY"
"""A file that gets a line at the beginning of every epoch, whatever becomes of it."""
STEPS = 8
"""Of an epoch."""

SPACE = '''"""How fast should a toy learn?"""

from spkmodel.config import TDNN, AdamW, Batches, TrainConfig


def space(trial):
    """Two axes."""
    return TrainConfig(
        encoder=TDNN(
            channels=trial.suggest_categorical("channels", CHANNELS),
            dilations=(2,),
            embedding_dim=16,
        ),
        batches=Batches(speakers=4, utterances=2, crop_seconds=0.5),
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)),
    )
'''
SOUND = (8, 16)
DIVERGES, COLLAPSES, TOO_LARGE = 10, 12, 14
"""Numbers of channels that end in these ways."""


def space(has_failing_configs: bool = False) -> str:
    """Return the source of a space; in a failing one, configs diverge, collapse, need memory."""
    channels = [*SOUND, DIVERGES, COLLAPSES, TOO_LARGE] if has_failing_configs else [*SOUND]
    return SPACE.replace("CHANNELS", str(channels))


def dev_eer(weights: torch.Tensor) -> float:
    """Return the dev EER of some weights."""
    return float(0.05 + 0.4 * weights.double().sigmoid().mean())


def trained(weights: torch.Tensor, rate: float) -> torch.Tensor:
    """Return the weights an epoch later; they learn faster the nearer the rate is to the best."""
    for _ in range(STEPS):
        weights = stepped(weights, rate)
    return weights


def stepped(weights: torch.Tensor, rate: float) -> torch.Tensor:
    """Return the weights a step later."""
    step = 0.3 / (1 + abs(math.log10(rate) + 3))
    return weights - (step - 0.1 * torch.sin(37 * weights)) / STEPS


class Training:
    """Has the methods of `spkmodel.training.trainer.Training` that the trainable uses."""

    def __init__(
        self, config: TrainConfig, store: Any, noise_and_rooms: Any, device: str, warm: Any
    ) -> None:
        del store, noise_and_rooms, device, warm
        self.config = config
        self.epoch = 0
        self.steps = 0
        """Of the epoch under way."""
        self.start = "four numbers"
        self.evaluated_encoder = torch.linspace(0.2, 0.8, 4, dtype=torch.float64)

    def run_epoch(self, *, should_stop: ShouldStop) -> EpochResult:
        """Sleep, and move the weights, step by step."""
        if not self.steps:
            _note(self.config.signature, self.epoch + 1)
        rate = self.config.optimiser.learning_rate
        while self.steps < STEPS:
            time.sleep(float(os.environ.get(EPOCH_SECONDS, "0.1")) / STEPS)
            self.evaluated_encoder = stepped(self.evaluated_encoder, rate)
            self.steps += 1
            if should_stop():
                raise EpochInterrupted(self.epoch + 1, self.steps, STEPS)
        self.steps = 0
        channels = getattr(self.config.encoder, "channels", 0)
        if channels == DIVERGES:
            raise Diverged("loss is nan at step 1")
        if channels == TOO_LARGE:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB")
        if channels == COLLAPSES:
            self.evaluated_encoder = torch.zeros(0)
        self.epoch += 1
        return EpochResult(1 / self.epoch, rate, 1.0, {})

    def reopen(self) -> EpochInterrupted:
        """Take back the end of the epoch just trained."""
        self.epoch, self.steps = self.epoch - 1, STEPS
        return EpochInterrupted(self.epoch + 1, STEPS, STEPS)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return what a checkpoint holds."""
        config = self.config.model_dump(mode="json")
        numbers = {"epoch": self.epoch, "steps": self.steps, "config": config}
        return {"weights": self.evaluated_encoder}, numbers

    def load(self, saved: checkpoint.Checkpoint) -> None:
        """Resume from a checkpoint."""
        self.evaluated_encoder = saved.tensors["weights"]
        self.epoch, self.steps = saved.state["epoch"], saved.state["steps"]


def _note(signature: str, epoch: int) -> None:
    line = json.dumps([signature, epoch, os.getpid(), time.monotonic()]) + "\n"
    with Path(os.environ[EPOCH_LOG]).open("a") as epoch_log:
        epoch_log.write(line)


def evaluate(
    weights: torch.Tensor, store: Any, pairs: Any, device: str, *, progress: Progress
) -> Verdict:
    """Return the toy's result; stands for `embed_and_score.evaluate_encoder`."""
    del store, pairs, device, progress
    if not len(weights):
        raise Collapsed("all embeddings point in one direction")
    eer = dev_eer(weights)
    nothing = np.zeros(0)
    return Verdict(eer, eer * 0.9, eer * 1.1, 1.0, 1.0, 0.0, nothing, nothing, 2)


def checkpoint_eer(folder: Path, sha256: str) -> float:
    """Return the dev EER of a checkpoint."""
    return dev_eer(checkpoint.read(folder, sha256).tensors["weights"])


class ToyTrainable(trainable.SegmentTrainable):
    """The trainable; a worker that unpickles it imports this module, which installs the toy."""


def install() -> None:
    """Let the trainable of this process train toys."""
    trainable.Training = Training  # type: ignore[attr-defined, assignment]
    trainable.evaluate_encoder = evaluate  # type: ignore[attr-defined, assignment]
    trainable.SegmentTrainable = ToyTrainable  # type: ignore[misc]


if EPOCH_LOG in os.environ:  # a worker of a round; who only reads what is here keeps the trainable
    install()
