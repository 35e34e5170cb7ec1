"""Encoders: networks from waveforms to embeddings, each with its front end."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spkmodel.config.front_ends import LogMel
from spkmodel.config.log_net import LogNet
from spkmodel.config.part import Part


class ResNetSE34L(Part):
    """ResNet with squeeze-and-excitation on log-mels, frequency averaged away (Chung et al. 2020).

    The defaults are voxceleb_trainer's "fast ResNet-34"; any widths and depths are allowed.
    """

    kind: Literal["resnet_se_34l"] = "resnet_se_34l"
    features: LogMel = LogMel(normalisation="instance")
    channels: tuple[int, ...] = (16, 32, 64, 128)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    pooling: Literal["sap", "asp"] = "sap"
    embedding_dim: int = Field(default=512, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNetSE34L":
        if len(self.channels) != 4 or len(self.blocks) != 4:
            raise ValueError(
                "encoder.channels and encoder.blocks need one number for each of the 4 stages, "
                f"got {len(self.channels)} and {len(self.blocks)}"
            )
        if min(self.channels) < 8 or min(self.blocks) < 1:
            raise ValueError(
                "encoder.channels must be at least 8 (the squeeze divides by 8) and encoder.blocks "
                f"at least 1, got {self.channels} and {self.blocks}"
            )
        return self


class TDNN(Part):
    """Time-delay network in the manner of the x-vector (Snyder et al. 2018), with residual layers.

    Conv k5, then one residual k3 layer per dilation, the outputs of all of them side by side, a
    1x1 convolution to `expansion * channels`, pooling over time, BatchNorm, dense, BatchNorm.
    """

    kind: Literal["tdnn"] = "tdnn"
    features: LogMel = LogMel(normalisation="fixed", log_floor=1e-5)
    channels: int = Field(default=96, ge=8, le=2048)
    dilations: tuple[int, ...] = (2, 3, 4)
    expansion: int = Field(default=3, ge=1, le=8)
    pooling: Literal["statistics", "asp"] = "statistics"
    embedding_dim: int = Field(default=128, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """After pooling, before the dense layer."""

    @model_validator(mode="after")
    def _has_layers(self) -> "TDNN":
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"encoder.dilations needs positive dilations, got {self.dilations}")
        return self


Encoder = Annotated[ResNetSE34L | TDNN | LogNet, Field(discriminator="kind")]
