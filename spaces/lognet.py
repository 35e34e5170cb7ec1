"""Which form of the log's network: what skips, what normalises, how many channels and blocks?"""

from typing import TYPE_CHECKING

from spkmodel.config import (
    AAMSoftmax,
    AdamW,
    Augment,
    Batches,
    Combined,
    CosineRestarts,
    LogNet,
    Loss,
    Softmax,
    TrainConfig,
    Triplet,
    Weighted,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:
    """The log's network on raw waveform, in a size that a laptop can train."""
    channels: tuple[int, ...]
    resblocks: tuple[int, ...]
    match trial.suggest_categorical("plan", ["7x32", "8x48", "wide_end"]):  # log: 19, 28-29, 101
        case "7x32":
            channels, resblocks = (32,) * 7, (0, 1, 1, 2, 2, 3, 3)
        case "8x48":
            channels, resblocks = (32, 32, *(48,) * 6), (0, 0, 1, 1, 1, 1, 1, 1)
        case "wide_end":
            channels, resblocks = (16, 32, 32, 48, 48, 64, 64, 64), (0, 0, 1, 1, 1, 2, 2, 2)
        case other:
            raise AssertionError(other)
    loss: Loss
    match trial.suggest_categorical("loss", ["softmax", "aam_softmax", "combined"]):  # log: 112-116
        case "softmax":
            loss = Softmax()
        case "aam_softmax":
            loss = AAMSoftmax(margin_rad=trial.suggest_float("aam_margin_rad", 0.05, 0.4))
        case "combined":
            triplet = Triplet(
                margin=trial.suggest_float("triplet_margin", 0.1, 1.0, log=True),  # log: 121
                mining=trial.suggest_categorical(  # log: 100-102, 124
                    "mining", ["batch_all", "batch_hard"]
                ),
            )
            loss = Combined(terms=(Weighted(loss=Softmax()), Weighted(loss=triplet)))
        case other:
            raise AssertionError(other)
    width = trial.suggest_categorical("embedding_dim", [128, 256, 512])  # log: 07-08, 101, 103
    return TrainConfig(
        encoder=LogNet(
            channels=channels,
            resblocks=resblocks,
            in_channels=trial.suggest_categorical("in_channels", [16, 32]),  # log: 15, 28
            merge=trial.suggest_categorical("merge", ["add", "concatenate"]),  # log: 02.1, 15
            activation=trial.suggest_categorical("activation", ["relu", "swish"]),  # log: 20
            resblock_norm=trial.suggest_categorical(  # log: 18, 38
                "resblock_norm", ["batch", "none"]
            ),
            se_resblock=trial.suggest_categorical("se_resblock", [True, False]),  # log: 09
            se_eblock=trial.suggest_categorical("se_eblock", [True, False]),  # log: 10
            dense=(width, width),
            dropout=0.0,
            embedding_norm=trial.suggest_categorical(  # log: 119-123
                "embedding_norm", ["none", "batch", "layer"]
            ),
        ),
        loss=loss,
        batches=Batches(speakers=16, utterances=2, crop_seconds=1.0),
        augment=Augment(
            gain_db=10.0,
            filter_probability=0.8,
            noise_probability=trial.suggest_float("noise_probability", 0.0, 1.0),  # log: 39-41
        ),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 2e-4, 4e-3, log=True),  # log: 05, 42
            weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.1, log=True),  # log: 32, 37
        ),
        schedule=CosineRestarts(),
    )
