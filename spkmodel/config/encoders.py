"""Configs of encoders: networks from waveforms to embeddings, each with its front end."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spkmodel.config.field_encoders import ECAPATDNN, CAMPlusPlus, ResNet34, XVector
from spkmodel.config.front_ends import LogMel, Mel
from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.log_net import LogNet
from spkmodel.config.poolings import Pooling, check_pooling
from spkmodel.config.trainer_encoders import (
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)


class TDNN(FrozenModel):
    """Time-delay network in the manner of the x-vector (Snyder et al. 2018), with residual layers.

    Conv k5, then one residual k3 layer per dilation, the outputs of all of them side by side, a
    1x1 convolution to `expansion * channels`, pooling over time, BatchNorm, dense, BatchNorm.
    """

    kind: Literal["tdnn"] = "tdnn"
    features: Mel = LogMel(normalisation="fixed", log_floor=1e-5)
    channels: int = Field(default=96, ge=8, le=2048)
    dilations: tuple[int, ...] = (2, 3, 4)
    expansion: int = Field(default=3, ge=1, le=8)
    pooling: Pooling = "statistics"
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """After pooling, before the dense layer."""

    @model_validator(mode="after")
    def _has_layers(self) -> "TDNN":
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"encoder.dilations needs positive dilations, got {self.dilations}")
        check_pooling(self.pooling, self.expansion * self.channels)
        return self


Encoder = Annotated[
    ResNetSE34L
    | ResNetSE34Half
    | ResNetSE34V2
    | VGGVox
    | RawNet3
    | TDNN
    | LogNet
    | ECAPATDNN
    | XVector
    | ResNet34
    | CAMPlusPlus,
    Field(discriminator="kind"),
]
