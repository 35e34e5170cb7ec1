"""The search space of the table: encoders, losses, mining, rates and augmentation, conditional.

Encoders are narrow and an epoch uses a part of every speaker's utterances, so that 27 epochs take
two minutes of one core. The space asks what the shipped ones ask, of all of them at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from search.space.branches import Space
from spkmodel.config import (
    TDNN,
    AAMSoftmax,
    AdamW,
    AMSoftmax,
    AngularPrototypical,
    Augment,
    Batches,
    Cosine,
    CosineRestarts,
    Encoder,
    LogMel,
    LogNet,
    Loss,
    ResNetSE34L,
    Softmax,
    TrainConfig,
    Triplet,
)

if TYPE_CHECKING:
    from optuna import Trial

EPOCHS = 27
UTTERANCES_PER_EPOCH = 6
"""Of each speaker; the next ones in the next epoch."""

_RESNET_WIDTHS = {32: (8, 8, 16, 32), 64: (8, 16, 32, 64)}
"""Channels of the four stages, by those of the last."""


def space(trial: "Trial") -> TrainConfig:
    """Three encoders, five losses, mining, batches, rates, augmentation and two schedules."""
    encoder = _encoder(trial)
    loss = _loss(trial)
    pairs = loss.needs_utterances > 1
    utterances = trial.suggest_categorical("batch_utterances", [2, 3]) if pairs else 1
    speakers = trial.suggest_categorical("batch_size", [32, 64]) // utterances
    restarts = trial.suggest_categorical("schedule", ["restarts", "cosine"]) == "restarts"
    return TrainConfig(
        encoder=encoder,
        loss=loss,
        batches=Batches(
            speakers=speakers,
            utterances=utterances,
            crop_seconds=0.9,
            max_utterances_per_speaker=UTTERANCES_PER_EPOCH,
        ),
        augment=Augment(
            gain_db=6.0,
            filter_probability=trial.suggest_float("filter_probability", 0.0, 1.0),
            room_probability=trial.suggest_float("room_probability", 0.0, 0.8),
            noise_probability=trial.suggest_float("noise_probability", 0.0, 1.0),
            snr_db_low=trial.suggest_float("snr_db_low", 0.0, 10.0),
            snr_db_high=20.0,
        ),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 2e-4, 3e-2, log=True),
            weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.3, log=True),
        ),
        schedule=CosineRestarts() if restarts else Cosine(epochs=EPOCHS),
    )


SPACE = Space("curves", space, "How do learning curves differ?", Path(__file__), "0" * 64)


def _encoder(trial: "Trial") -> Encoder:
    kind = trial.suggest_categorical("encoder", ["tdnn", "resnet_se", "log_net"])
    dimensions = trial.suggest_categorical("embedding_dim", [64, 128, 256])
    dropout = trial.suggest_float("dropout", 0.0, 0.4)
    if kind == "log_net":
        width, blocks = 4, trial.suggest_categorical("log_net_resblocks", [0, 1])
        return LogNet(
            in_channels=width,
            in_kernel=3,
            channels=(width, width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width),
            resblocks=(0, 0, 0, blocks, blocks, blocks, blocks),
            dense=(128, dimensions),
        )
    normalisation = trial.suggest_categorical("normalisation", ["fixed", "level", "mean"])
    features = LogMel(normalisation=normalisation, log_floor=1e-5)
    if kind == "resnet_se":
        return ResNetSE34L(
            features=features,
            channels=_RESNET_WIDTHS[trial.suggest_categorical("resnet_channels", [32, 64])],
            blocks=(1, 1, 1, 1),
            pooling=trial.suggest_categorical("resnet_pooling", ["sap", "asp"]),
            embedding_dim=dimensions,
            dropout=dropout,
        )
    return TDNN(
        features=features,
        channels=trial.suggest_categorical("tdnn_channels", [32, 48, 64]),
        pooling=trial.suggest_categorical("tdnn_pooling", ["statistics", "asp"]),
        embedding_dim=dimensions,
        dropout=dropout,
    )


def _loss(trial: "Trial") -> Loss:
    kinds = ["softmax", "am_softmax", "aam_softmax", "angular_prototypical", "triplet"]
    match trial.suggest_categorical("loss", kinds):
        case "softmax":
            return Softmax()
        case "am_softmax":
            return AMSoftmax(
                margin=trial.suggest_float("am_margin", 0.0, 0.4),
                scale=trial.suggest_float("scale", 10.0, 40.0),
            )
        case "aam_softmax":
            return AAMSoftmax(
                margin_rad=trial.suggest_float("aam_margin_rad", 0.0, 0.5),
                scale=trial.suggest_float("scale", 10.0, 40.0),
            )
        case "angular_prototypical":
            return AngularPrototypical()
        case "triplet":
            return Triplet(
                margin=trial.suggest_float("triplet_margin", 0.05, 0.6),
                mining=trial.suggest_categorical(
                    "mining", ["batch_all", "batch_hard", "batch_semi_hard"]
                ),
            )
        case other:
            raise AssertionError(other)
