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
    EMA,
    SGD,
    SGDR,
    Adam,
    AdamW,
    Constant,
    Cosine,
    CosineRestarts,
    ExponentialDecay,
    ExponentialFall,
    NAdam,
    OneCycle,
    Optimiser,
    Schedule,
    StepDecay,
)
from spkmodel.config.part import (
    Part,
)
from spkmodel.config.spec_augment import (
    SpecAugment,
)
from spkmodel.config.stages import (
    LargeMarginFineTuning,
    WarmStart,
    with_margin,
)
from spkmodel.config.train import (
    TrainConfig,
)

__all__ = [
    "EMA",
    "SGD",
    "SGDR",
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
    "ExponentialDecay",
    "ExponentialFall",
    "LargeMarginFineTuning",
    "LogMel",
    "LogNet",
    "Loss",
    "NAdam",
    "OneCycle",
    "Optimiser",
    "Part",
    "RawWaveform",
    "ResNetSE34L",
    "Schedule",
    "Softmax",
    "SpecAugment",
    "Speed",
    "StepDecay",
    "TrainConfig",
    "Triplet",
    "WarmStart",
    "with_margin",
]
