"""Find the stage of an epoch: the ordinary training, or the fine-tuning that may follow it."""

from dataclasses import dataclass

from spkmodel.config import Augment, Batches, Loss, Schedule, TrainConfig, with_margin


@dataclass(frozen=True)
class Stage:
    """Epochs that are trained alike."""

    first_epoch: int
    """From 1; the schedule counts from its start."""
    batches: Batches
    augment: Augment
    loss: Loss
    learning_rate: float
    schedule: Schedule


def stage_at(config: TrainConfig, epoch: int) -> Stage:
    """Return the stage that an epoch, counted from 1, belongs to."""
    tuning = config.fine_tune
    if tuning is None or epoch < tuning.from_epoch:
        return Stage(
            first_epoch=1,
            batches=config.batches,
            augment=config.augment,
            loss=config.loss,
            learning_rate=config.optimiser.learning_rate,
            schedule=config.schedule,
        )
    return Stage(
        first_epoch=tuning.from_epoch,
        # Longer crops and, by default, no speed perturbation, as in WeSpeaker's stage.
        batches=config.batches.model_copy(update={"crop_seconds": tuning.crop_seconds}),
        augment=tuning.augment or config.augment.model_copy(update={"speed": None}),
        loss=with_margin(config.loss, tuning.margin),
        learning_rate=tuning.learning_rate,
        schedule=tuning.schedule,
    )
