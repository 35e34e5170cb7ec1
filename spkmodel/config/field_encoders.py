"""Configs of the field's reference encoders, at their published sizes and below."""

from typing import Literal

from pydantic import Field, model_validator

from spkmodel.config.front_ends import LogMel, Mel
from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.poolings import Pooling, check_pooling

_FEATURES = LogMel(mels=80, normalisation="mean")


class ECAPATDNN(FrozenModel):
    """Gated Res2Net blocks over time, all of them pooled (Desplanques et al. 2020).

    ECAPA-TDNN, arXiv:2005.07143. The defaults are its smaller network, `channels=1024` its larger
    one, as WeSpeaker builds them: 6.19 M and 14.66 M weights.
    """

    kind: Literal["ecapa_tdnn"] = "ecapa_tdnn"
    features: Mel = _FEATURES
    channels: int = Field(default=512, ge=4, le=4096)
    dilations: tuple[int, ...] = (2, 3, 4)
    """One block for each."""
    scale: int = Field(default=8, ge=2, le=32)
    """Into how many groups a block splits its channels."""
    squeeze_dim: int = Field(default=128, ge=1, le=1024)
    sum_inputs: bool = False
    """Whether a block gets the sum of the outputs of all layers before it, as section 3.3 has it,
    or the output of the last one, as most code has."""
    summary_dim: int = Field(default=1536, ge=2, le=8192)
    """Channels that are pooled."""
    pooling: Pooling = "context_asp"
    embedding_dim: int = Field(default=192, ge=2, le=4096)
    embedding_norm: Literal["none", "batch"] = "none"
    """On the embedding; the paper's figure 2 has BatchNorm there, WeSpeaker's recipe nothing."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""

    @model_validator(mode="after")
    def _channels_split(self) -> "ECAPATDNN":
        if self.channels % self.scale:
            below = self.channels - self.channels % self.scale
            raise ValueError(
                f"encoder.channels must be divisible by encoder.scale={self.scale}, got "
                f"{self.channels}; set it to {below + self.scale}"
                + (f" or {below}" if below else "")
            )
        _check_dilations(self.dilations)
        check_pooling(self.pooling, self.summary_dim)
        return self


class XVector(FrozenModel):
    """Five time-delay layers, pooling, two dense layers (Snyder et al. 2018, table 1).

    "X-vectors: robust DNN embeddings for speaker recognition". A frame after the layers has seen 15
    before them; where there are fewer, the first and the last are repeated. The embedding is the
    output of the second dense layer, on which the loss stands; Snyder's is that of the first, with
    the loss behind the second.
    """

    kind: Literal["x_vector"] = "x_vector"
    features: Mel = _FEATURES
    channels: int = Field(default=512, ge=2, le=4096)
    """Of the first four layers."""
    summary_dim: int = Field(default=1500, ge=2, le=8192)
    """Of the fifth layer: channels that are pooled."""
    pooling: Pooling = "statistics"
    segment_dim: int = Field(default=512, ge=2, le=4096)
    """Of the first dense layer."""
    embedding_dim: int = Field(default=512, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""

    @model_validator(mode="after")
    def _heads_share(self) -> "XVector":
        check_pooling(self.pooling, self.summary_dim)
        return self


class ResNet34(FrozenModel):
    """Residual network on mels, channels and bands pooled together (Zeinali et al. 2019).

    "BUT system description to VoxCeleb speaker recognition challenge 2019", arXiv:1910.12592. The
    defaults are WeSpeaker's, with 6.63 M weights; any widths and depths are allowed.
    """

    kind: Literal["resnet34"] = "resnet34"
    features: Mel = _FEATURES
    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    pooling: Pooling = "statistics"
    embedding_dim: int = Field(default=256, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the dense layer."""

    @property
    def pooled_dim(self) -> int:
        """Channels times the bands that three halvings leave."""
        return self.channels[-1] * eighth(self.features.mels)

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNet34":
        if len(self.channels) != 4 or len(self.blocks) != 4:
            raise ValueError(
                "encoder.channels and encoder.blocks need one number for each of the 4 stages, "
                f"got {len(self.channels)} and {len(self.blocks)}"
            )
        if min(self.channels) < 1 or min(self.blocks) < 1:
            raise ValueError(
                "encoder.channels and encoder.blocks must be positive, got "
                f"{self.channels} and {self.blocks}"
            )
        check_pooling(self.pooling, self.pooled_dim)
        return self


class CAMPlusPlus(FrozenModel):
    """Densely connected time-delay layers, masked by their context (Wang et al. 2023).

    CAM++, arXiv:2303.00332: a residual network over mels, of which time then has every second
    frame, and blocks of layers that each see all those before them. 7.18 M weights with an
    embedding of 512, as in the paper, 6.85 M with 192.
    """

    kind: Literal["cam_plus_plus"] = "cam_plus_plus"
    features: Mel = _FEATURES
    head_channels: int = Field(default=32, ge=1, le=1024)
    """Of the residual network at the front."""
    channels: int = Field(default=128, ge=2, le=4096)
    """That enter the first block."""
    growth: int = Field(default=32, ge=1, le=1024)
    """Channels that each layer adds."""
    bottleneck: int = Field(default=128, ge=2, le=4096)
    """Channels inside a layer."""
    blocks: tuple[int, ...] = (12, 24, 16)
    """Layers in each block; behind each block half of the channels are left."""
    dilations: tuple[int, ...] = (1, 2, 2)
    segment_frames: int = Field(default=100, ge=1, le=1000)
    """The context of a frame is the mean of the utterance and that of its segment, so long; a frame
    is twice the hop."""
    pooling: Pooling = "statistics"
    embedding_dim: int = Field(default=512, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the dense layer."""

    @property
    def pooled_dim(self) -> int:
        """Channels behind the last block."""
        channels = self.channels
        for layers in self.blocks:
            channels = (channels + layers * self.growth) // 2
        return channels

    @model_validator(mode="after")
    def _blocks_agree(self) -> "CAMPlusPlus":
        if len(self.blocks) != len(self.dilations) or min(self.blocks, default=0) < 1:
            raise ValueError(
                "encoder.blocks needs one positive number of layers, and encoder.dilations one "
                f"dilation, for each block, got {self.blocks} and {self.dilations}"
            )
        _check_dilations(self.dilations)
        check_pooling(self.pooling, self.pooled_dim)
        return self


def eighth(bands: int) -> int:
    """Return the number of bands after three convolutions of stride 2, each of which rounds up."""
    return -(-bands // 8)


def _check_dilations(dilations: tuple[int, ...]) -> None:
    if not dilations or min(dilations) < 1:
        raise ValueError(f"encoder.dilations needs positive dilations, got {dilations}")
