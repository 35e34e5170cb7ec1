"""How few parameters can the lab's network do with? For --objectives dev_eer,encoder_parameters."""

from typing import TYPE_CHECKING

from spkmodel.config import (
    AdamW,
    AMSoftmax,
    Augment,
    Batches,
    CosineRestarts,
    LogMel,
    ResNetSE34L,
    TrainConfig,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:
    """Width of the embedding, which is all that the report could change, and of all before it."""
    first = trial.suggest_categorical("first_channels", [8, 12, 16, 24, 32])
    blocks: tuple[int, ...]
    match trial.suggest_categorical("blocks", [4, 8, 16]):
        case 4:
            blocks = (1, 1, 1, 1)
        case 8:
            blocks = (2, 2, 2, 2)
        case 16:
            blocks = (3, 4, 6, 3)
        case other:
            raise AssertionError(other)
    return TrainConfig(
        encoder=ResNetSE34L(
            features=LogMel(
                mels=trial.suggest_categorical("mels", [40, 64]),
                normalisation=trial.suggest_categorical("normalisation", ["mean", "instance"]),
            ),
            channels=(first, 2 * first, 4 * first, 8 * first),
            blocks=blocks,
            pooling=trial.suggest_categorical("pooling", ["sap", "asp"]),
            embedding_dim=trial.suggest_int("embedding_dim", 16, 512, log=True),  # log: lab 4.3
        ),
        loss=AMSoftmax(
            margin=trial.suggest_float("am_margin", 0.05, 0.4),  # log: lab 3
            scale=trial.suggest_float("am_scale", 15.0, 40.0),  # log: lab 3
        ),
        batches=Batches(speakers=16, utterances=1, crop_seconds=1.5),
        augment=Augment(gain_db=6.0, filter_probability=0.8),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
            weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.3, log=True),
        ),
        schedule=CosineRestarts(),
    )
