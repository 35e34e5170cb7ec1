"""The training of the lab report: ResNetSE34L, AM-softmax with margin 0.3 and scale 30.

Its network, and crops of 1 s, which a core can train in 40 minutes. A space without an axis:
one config, and all that a search gives it.
"""

from typing import TYPE_CHECKING

from spkmodel.config import (
    AdamW,
    AMSoftmax,
    Augment,
    Batches,
    CosineRestarts,
    ResNetSE34L,
    TrainConfig,
)

if TYPE_CHECKING:
    from optuna import Trial


def space(trial: "Trial") -> TrainConfig:
    """The lab's first training, on 32 speakers a batch."""
    del trial
    return TrainConfig(
        encoder=ResNetSE34L(),
        loss=AMSoftmax(margin=0.3, scale=30.0),
        batches=Batches(speakers=32, utterances=1, crop_seconds=1.0),
        augment=Augment(
            gain_db=6.0,
            filter_probability=0.9,
            room_probability=0.5,
            noise_probability=0.8,
        ),
        optimiser=AdamW(learning_rate=2e-3, weight_decay=0.01),
        schedule=CosineRestarts(first_epochs=2),
    )
