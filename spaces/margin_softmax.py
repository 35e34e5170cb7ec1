"""Which margin on the softmax, how large, and how much bad weather should training hear?"""

from typing import TYPE_CHECKING

from spkmodel.config import (
    TDNN,
    AAMSoftmax,
    AdamW,
    AMSoftmax,
    Augment,
    Batches,
    CosineRestarts,
    LogMel,
    Loss,
    Softmax,
    TrainConfig,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:
    """Margins, scale, width, front end and augmentation, on a TDNN."""
    loss: Loss
    match trial.suggest_categorical("loss", ["softmax", "am_softmax", "aam_softmax"]):
        case "softmax":
            loss = Softmax()
        case "am_softmax":
            loss = AMSoftmax(
                margin=trial.suggest_float("am_margin", 0.05, 0.4),
                scale=trial.suggest_float("am_scale", 15.0, 40.0),
            )
        case "aam_softmax":
            loss = AAMSoftmax(
                margin_rad=trial.suggest_float("aam_margin_rad", 0.05, 0.5),
                scale=trial.suggest_float("aam_scale", 15.0, 40.0),
            )
        case other:
            raise AssertionError(other)
    return TrainConfig(
        encoder=TDNN(
            features=LogMel(
                normalisation=trial.suggest_categorical(
                    "normalisation", ["fixed", "level", "mean", "instance"]
                ),
                log_floor=1e-5,
            ),
            channels=trial.suggest_categorical("channels", [64, 96]),
            pooling=trial.suggest_categorical("pooling", ["statistics", "asp"]),
            embedding_dim=trial.suggest_categorical("embedding_dim", [64, 128, 256]),
            dropout=trial.suggest_float("dropout", 0.0, 0.5),  # log: 06, 117-118
        ),
        loss=loss,
        batches=Batches(
            speakers=trial.suggest_categorical("batch_speakers", [32, 64]),  # log: 13
            utterances=1,
            crop_seconds=1.5,
        ),
        # Few epochs flatter weak augmentation, many punish it: the ranges leave the weak end out.
        augment=Augment(
            gain_db=6.0,
            filter_probability=trial.suggest_float("filter_probability", 0.7, 1.0),
            room_probability=trial.suggest_float("room_probability", 0.2, 0.8),
            noise_probability=trial.suggest_float("noise_probability", 0.6, 1.0),  # log: 39-41
            snr_db_low=trial.suggest_float("snr_db_low", 0.0, 6.0),
            snr_db_high=20.0,
        ),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 5e-4, 8e-3, log=True),  # log: 05, 42
            weight_decay=trial.suggest_float("weight_decay", 1e-3, 0.3, log=True),  # log: 32, 37
        ),
        schedule=CosineRestarts(),
    )
