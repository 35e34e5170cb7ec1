"""Configs of a training: frozen, validated variants; equal configs train equal networks.

Only pydantic and the standard library are imported here, so that a space can be described
without loading torch.
"""

from spkmodel.config.data import (
    Augment,
    Babble,
    Batches,
    Categories,
    DataPP,
    Speed,
)
from spkmodel.config.encoders import (
    TDNN,
    Encoder,
)
from spkmodel.config.field_encoders import (
    ECAPATDNN,
    CAMPlusPlus,
    ResNet34,
    XVector,
)
from spkmodel.config.front_ends import (
    LinearMel,
    LogMel,
    Mel,
    MelSpectrogram,
    RawWaveform,
)
from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.log_net import (
    BatchRenorm,
    LogNet,
)
from spkmodel.config.loss_rules import (
    check_batches,
    check_classes,
    terms_of,
    with_margin,
)
from spkmodel.config.losses import (
    GE2E,
    AngularPrototypical,
    Centre,
    Classification,
    Combined,
    Loss,
    Prototypical,
    SingleLoss,
    Softmax,
    Triplet,
    Weighted,
)
from spkmodel.config.margins import (
    AAMSoftmax,
    AMSoftmax,
    ConstantMargin,
    ExponentialMargin,
    Fallback,
    LinearMargin,
    MarginSchedule,
    StepMargin,
    SubCentreAAMSoftmax,
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
from spkmodel.config.poolings import (
    MultiHead,
    Pooling,
)
from spkmodel.config.spec_augment import (
    SpecAugment,
)
from spkmodel.config.stages import (
    LargeMarginFineTuning,
    WarmStart,
)
from spkmodel.config.train import (
    TrainConfig,
)
from spkmodel.config.trainer_encoders import (
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)

__all__ = [
    "ECAPATDNN",
    "EMA",
    "GE2E",
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
    "CAMPlusPlus",
    "Categories",
    "Centre",
    "Classification",
    "Combined",
    "Constant",
    "ConstantMargin",
    "Cosine",
    "CosineRestarts",
    "DataPP",
    "Encoder",
    "ExponentialDecay",
    "ExponentialFall",
    "ExponentialMargin",
    "Fallback",
    "FrozenModel",
    "LargeMarginFineTuning",
    "LinearMargin",
    "LinearMel",
    "LogMel",
    "LogNet",
    "Loss",
    "MarginSchedule",
    "Mel",
    "MelSpectrogram",
    "MultiHead",
    "NAdam",
    "OneCycle",
    "Optimiser",
    "Pooling",
    "Prototypical",
    "RawNet3",
    "RawWaveform",
    "ResNet34",
    "ResNetSE34Half",
    "ResNetSE34L",
    "ResNetSE34V2",
    "Schedule",
    "SingleLoss",
    "Softmax",
    "SpecAugment",
    "Speed",
    "StepDecay",
    "StepMargin",
    "SubCentreAAMSoftmax",
    "TrainConfig",
    "Triplet",
    "VGGVox",
    "WarmStart",
    "Weighted",
    "XVector",
    "check_batches",
    "check_classes",
    "terms_of",
    "with_margin",
]
