"""How wide a network, which loss, how fast to learn? Small enough for a laptop's coffee break."""

from typing import TYPE_CHECKING

from spkmodel.config import (
    TDNN,
    AAMSoftmax,
    AdamW,
    AngularPrototypical,
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
    """Eight axes around a small TDNN, in one-second crops."""
    loss: Loss
    match trial.suggest_categorical("loss", ["softmax", "aam_softmax", "angular_prototypical"]):
        case "softmax":
            loss = Softmax()
        case "aam_softmax":
            loss = AAMSoftmax(margin_rad=trial.suggest_float("aam_margin_rad", 0.05, 0.4))
        case "angular_prototypical":
            loss = AngularPrototypical()
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
            channels=trial.suggest_categorical("channels", [16, 32, 48]),
            embedding_dim=trial.suggest_categorical("embedding_dim", [32, 64, 128]),
        ),
        loss=loss,
        batches=Batches(speakers=8, utterances=2, crop_seconds=1.0),
        augment=Augment(
            gain_db=6.0,
            filter_probability=trial.suggest_float("filter_probability", 0.0, 1.0),
            noise_probability=trial.suggest_float("noise_probability", 0.0, 0.8),
        ),
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)),
        schedule=CosineRestarts(),
    )
