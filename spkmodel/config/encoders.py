"""Encoders: networks from waveforms to embeddings, each with its front end."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spkmodel.config.front_ends import LogMel, RawWaveform
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


class LogNet(Part):
    """The log's own network on raw waveform; `reference` entry numbers are those of the log.

    InBlock, EBlocks that each halve time, FCBlock, OutBlock. `merge="add"` is the log's model1
    (entries 01-14), `"concatenate"` its model2 (15 on). An added skip is padded with zeros where an
    EBlock is wider than its input, and goes through a 1x1 convolution where it is narrower.
    """

    kind: Literal["log_net"] = "log_net"
    waveform: RawWaveform = RawWaveform()
    merge: Literal["add", "concatenate"] = "concatenate"
    skip: bool = True
    """Whether the EBlocks have their skip connection; only the first entries lack it."""
    skip_pooling: Literal["average", "max"] = "average"
    in_channels: int = Field(default=32, ge=1, le=1024)
    in_kernel: Literal[3, 7] = 7
    in_resblock: bool = False
    channels: tuple[int, ...] = (32, 32, 32, 48, 48, 48, 48, 64, 64, 64)
    resblocks: tuple[int, ...] = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
    kernel: Literal[3, 4, 7] = 3
    order: Literal["O1", "O2", "O3"] = "O1"
    """O1: act, 1x1, act, conv, ResBlocks, SE. O2: as O1 with act after conv. O3: as O2 without the
    first act. With `merge="add"` there is no 1x1 and only O1: act, conv, ResBlocks, SE."""
    bottleneck: bool = True
    """The 1x1 convolution before the strided one, where the input is wider than the block."""
    activation: Literal["relu", "swish"] = "swish"
    resblock_norm: Literal["batch", "none"] = "batch"
    eblock_norm: Literal["batch", "none"] = "none"
    se_resblock: bool = True
    se_eblock: bool = True
    se_first_conv: bool = False
    global_pooling: Literal["average", "max"] = "average"
    dense: tuple[int, ...] = (512, 512)
    """Widths of the FCBlock's dense layers."""
    dense_skip: bool = True
    """Whether the FCBlock's input is added to its output, through a dense layer without bias where
    their widths differ (in the log's entries they never do)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer: the OutBlock's, or the FCBlock's where there is no OutBlock."""
    out_dim: int | None = Field(default=None, ge=2, le=4096)
    """Width of the OutBlock, which then is the embedding; None: the FCBlock is the embedding."""
    embedding_norm: Literal["none", "batch", "layer", "l2"] = "none"

    @property
    def embedding_dim(self) -> int:
        """Width of the embedding."""
        return self.dense[-1] if self.out_dim is None else self.out_dim

    @property
    def pooled_dim(self) -> int:
        """Width of what enters the FCBlock."""
        if self.skip and self.merge == "concatenate":
            return self.in_channels + sum(self.channels)
        return self.channels[-1]

    @model_validator(mode="after")
    def _blocks_agree(self) -> "LogNet":
        if len(self.channels) != len(self.resblocks) or not self.channels:
            raise ValueError(
                "encoder.channels and encoder.resblocks need one number for each EBlock, got "
                f"{len(self.channels)} and {len(self.resblocks)}"
            )
        if min(self.channels) < 1 or min(self.resblocks) < 0 or min(self.dense, default=0) < 2:
            raise ValueError(
                "encoder.channels must be positive, encoder.resblocks not negative, encoder.dense "
                "one or more widths of at least 2, got "
                f"{self.channels}, {self.resblocks}, {self.dense}"
            )
        if self.merge == "add" and self.order != "O1":
            raise ValueError(
                f'encoder.order must be "O1" with encoder.merge="add", got "{self.order}"'
            )
        return self


Encoder = Annotated[ResNetSE34L | TDNN | LogNet, Field(discriminator="kind")]
