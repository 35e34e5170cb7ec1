"""The training that the lab report could not run: ResNetSE34Half with triplets.

Half the widths and crops of 1 s, which a core can train in 40 minutes. A space without an axis:
one config, and all that a search gives it.
"""

from typing import TYPE_CHECKING

from spkmodel.config import (
    AdamW,
    Augment,
    Batches,
    CosineRestarts,
    ResNetSE34Half,
    TrainConfig,
    Triplet,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:
    """The Half at half its width, every triplet of a batch of 16 speakers x 4 utterances."""
    del trial
    return TrainConfig(
        encoder=ResNetSE34Half(channels=(16, 32, 64, 128)),
        loss=Triplet(margin=0.3, mining="batch_all", distance="euclidean", normalise=True),
        batches=Batches(speakers=16, utterances=4, crop_seconds=1.0),
        augment=Augment(
            gain_db=6.0,
            filter_probability=0.9,
            room_probability=0.5,
            noise_probability=0.8,
        ),
        optimiser=AdamW(learning_rate=2e-3, weight_decay=0.01),
        schedule=CosineRestarts(first_epochs=2),
    )
