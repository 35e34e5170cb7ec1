"""Which triplets of a batch teach most, how hard should they push, and with a classifier beside?"""

from typing import TYPE_CHECKING

from spkmodel.config import (
    TDNN,
    AdamW,
    Augment,
    Batches,
    Combined,
    CosineRestarts,
    LogMel,
    Loss,
    Softmax,
    TrainConfig,
    Triplet,
    Weighted,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:
    """Mining, margin and batch composition of the triplet loss, on a TDNN that hears bad rooms."""
    triplet = Triplet(
        mining=trial.suggest_categorical(  # log: 100-102, 108-111, 124
            "mining", ["batch_all", "batch_hard", "batch_semi_hard"]
        ),
        margin=trial.suggest_float("triplet_margin", 0.1, 1.0, log=True),  # log: 103-105, 121-123
        distance="euclidean",
        normalise=True,  # log: 122
    )
    loss: Loss
    match trial.suggest_categorical("loss", ["triplet", "combined"]):  # log: 112-116, 122-123
        case "triplet":
            loss = triplet
        case "combined":
            weight = trial.suggest_float("triplet_weight", 0.3, 10.0, log=True)
            loss = Combined(terms=(Weighted(loss=Softmax()), Weighted(loss=triplet, weight=weight)))
        case other:
            raise AssertionError(other)
    composition = trial.suggest_categorical(
        "batch", ["16x2", "32x2", "16x4", "18x4"]
    )  # log: 13, 100
    match composition:
        case "16x2":
            speakers, utterances = 16, 2
        case "32x2":
            speakers, utterances = 32, 2
        case "16x4":
            speakers, utterances = 16, 4
        case "18x4":
            speakers, utterances = 18, 4
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
            embedding_dim=trial.suggest_categorical(
                "embedding_dim", [64, 128, 256]
            ),  # log: 103-107
            dropout=trial.suggest_float("dropout", 0.0, 0.5),  # log: 06, 117-118
        ),
        loss=loss,
        batches=Batches(speakers=speakers, utterances=utterances, crop_seconds=1.5),
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
