"""What one training is: frozen, validated variants; equal configs train equal networks.

Only pydantic and the standard library are imported here, so that a space can be described
without loading torch.
"""

from spkmodel.config.data import (
    Augment,
    Babble,
    Batches,
    DataPP,
    Speed,
)
from spkmodel.config.encoders import (
    TDNN,
    Encoder,
    ResNetSE34L,
)
from spkmodel.config.front_ends import (
    LogMel,
    RawWaveform,
)
from spkmodel.config.log_net import (
    BatchRenorm,
    LogNet,
)
from spkmodel.config.losses import (
    AAMSoftmax,
    AMSoftmax,
    AngularPrototypical,
    Classification,
    Combined,
    Loss,
    Softmax,
    Triplet,
)
from spkmodel.config.optimisation import (
    Adam,
    AdamW,
    Constant,
    Cosine,
    CosineRestarts,
    Optimiser,
    Schedule,
)
from spkmodel.config.part import (
    Part,
)
from spkmodel.config.spec_augment import (
    SpecAugment,
)
from spkmodel.config.train import (
    TrainConfig,
)

__all__ = [
    "TDNN",
    "AAMSoftmax",
    "AMSoftmax",
    "Adam",
    "AdamW",
    "AngularPrototypical",
    "Augment",
    "Babble",
    "BatchRenorm",
    "Batches",
    "Classification",
    "Combined",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "DataPP",
    "Encoder",
    "LogMel",
    "LogNet",
    "Loss",
    "Optimiser",
    "Part",
    "RawWaveform",
    "ResNetSE34L",
    "Schedule",
    "Softmax",
    "SpecAugment",
    "Speed",
    "TrainConfig",
    "Triplet",
]
