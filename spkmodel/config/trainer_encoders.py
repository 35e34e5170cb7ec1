"""Configs of the encoders of clovaai/voxceleb_trainer, with its options' defaults."""

import math
from typing import Literal

from pydantic import Field, model_validator

from spkmodel.config.front_ends import LogMel, Mel
from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.poolings import Pooling, check_pooling

_SQUEEZE = 8
_VGG_MELS = 40


class ResNetSE(FrozenModel):
    """What the residual networks of the trainer have in common: 4 stages of gated blocks."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    embedding_dim: int = Field(default=512, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""


class ResNetSE34L(ResNetSE):
    """ResNet with squeeze-and-excitation on mels, frequency averaged away (Chung et al. 2020).

    The defaults are voxceleb_trainer's "fast ResNet-34"; any widths and depths are allowed.
    """

    kind: Literal["resnet_se_34l"] = "resnet_se_34l"
    features: Mel = LogMel(normalisation="instance")
    channels: tuple[int, ...] = (16, 32, 64, 128)
    pooling: Pooling = "sap"

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNetSE34L":
        _check_stages(self.channels, self.blocks)
        check_pooling(self.pooling, self.channels[-1])
        return self


class ResNetSE34Half(ResNetSE):
    """`ResNetSE34L` at twice its widths, which are half of the original ResNet-34's.

    The trainer had it in September 2020; its published network has 64 mels and "asp".
    """

    kind: Literal["resnet_se_34_half"] = "resnet_se_34_half"
    features: Mel = LogMel(normalisation="instance")
    channels: tuple[int, ...] = (32, 64, 128, 256)
    pooling: Pooling = "sap"

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNetSE34Half":
        _check_stages(self.channels, self.blocks)
        check_pooling(self.pooling, self.channels[-1])
        return self


class ResNetSE34V2(ResNetSE):
    """ResNet with squeeze-and-excitation that keeps frequency up to the pooling (Heo et al. 2020).

    "Clova baseline system for the VoxCeleb speaker recognition challenge 2020", arXiv:2009.14153:
    its network "H / ASP" has 64 mels and "asp". Channels and the eighth of the bands that is left
    are pooled together, with one attention weight per frame and each of them.
    """

    kind: Literal["resnet_se_34_v2"] = "resnet_se_34_v2"
    features: Mel = LogMel(normalisation="instance", pre_emphasis=0.97)
    channels: tuple[int, ...] = (32, 64, 128, 256)
    pooling: Literal["sap", "asp"] = "sap"
    attention_dim: int = Field(default=128, ge=2, le=4096)

    @model_validator(mode="after")
    def _stages_agree(self) -> "ResNetSE34V2":
        _check_stages(self.channels, self.blocks)
        mels = self.features.mels
        if mels % 8:
            fitting = sorted({max(mels - mels % 8, 8), min(mels - mels % 8 + 8, 256)})
            raise ValueError(
                "encoder.features.mels must be divisible by 8 with encoder.kind='resnet_se_34_v2' "
                f"(three of its stages halve the bands), got {mels}; set it to "
                + " or ".join(map(str, fitting))
            )
        return self


class VGGVox(FrozenModel):
    """VGG-M on mels (Nagrani et al. 2017 and 2020), as voxceleb_trainer has it.

    Its last convolution spans all the bands that are left, which are 4 of 40. A crop of fewer than
    63 frames leaves nothing to its poolings over time and is repeated until it has them.
    """

    kind: Literal["vggvox"] = "vggvox"
    features: Mel = LogMel(window="hann", normalisation="instance")
    channels: tuple[int, ...] = (96, 256, 384, 256, 256, 512)
    """Of its 6 convolutions."""
    pooling: Pooling = "sap"
    """The trainer's SAP, TAP and MAX are sap, mean and max."""
    embedding_dim: int = Field(default=512, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""

    @model_validator(mode="after")
    def _bands_fit(self) -> "VGGVox":
        if len(self.channels) != 6 or min(self.channels) < 1:
            raise ValueError(
                "encoder.channels needs a positive number for each of the 6 convolutions, got "
                f"{self.channels}"
            )
        if self.features.mels != _VGG_MELS:
            raise ValueError(
                f"encoder.features.mels must be {_VGG_MELS} with encoder.kind='vggvox' (its last "
                f"convolution spans what is left of {_VGG_MELS} bands), got {self.features.mels}"
            )
        check_pooling(self.pooling, self.channels[-1])
        return self


class RawNet3(FrozenModel):
    """Learned analytic filters and Res2Net blocks on the raw waveform (Jung et al. 2022).

    "Pushing the limits of raw waveform speaker recognition", arXiv:2203.08488. The default width of
    the embedding is that of the trainer's shipped config, RawNet3_AAM.yaml.
    """

    kind: Literal["rawnet3"] = "rawnet3"
    pre_emphasis: float = Field(default=0.97, ge=0, lt=1)
    sinc_stride: int = Field(default=10, ge=1, le=64)
    """In samples, of the filterbank."""
    channels: int = Field(default=1024, ge=16, le=4096)
    """Of the blocks; the filterbank has a quarter of them, half cosines and half sines."""
    scale: int = Field(default=8, ge=2, le=32)
    """Into how many groups a block splits its channels."""
    summary_dim: int = Field(default=1536, ge=2, le=8192)
    """Channels that are pooled."""
    attention_dim: int = Field(default=128, ge=2, le=4096)
    pooling: Literal["eca", "asp"] = "eca"
    """Mean and deviation, under attention that sees the utterance's mean and deviation. eca: one
    weight per frame and channel. asp: one per frame."""
    embedding_dim: int = Field(default=256, ge=2, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last dense layer."""

    @model_validator(mode="after")
    def _channels_split(self) -> "RawNet3":
        step = math.lcm(8, self.scale)
        if self.channels % step:
            raise ValueError(
                "encoder.channels must be divisible by 8 (a quarter of them are filters, in pairs) "
                f"and by encoder.scale={self.scale}, got {self.channels}; set it to a multiple of "
                f"{step}"
            )
        return self


def _check_stages(channels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
    if len(channels) != 4 or len(blocks) != 4:
        raise ValueError(
            "encoder.channels and encoder.blocks need one number for each of the 4 stages, "
            f"got {len(channels)} and {len(blocks)}"
        )
    if min(channels) < _SQUEEZE or min(blocks) < 1:
        raise ValueError(
            f"encoder.channels must be at least {_SQUEEZE} (the squeeze divides by {_SQUEEZE}) and "
            f"encoder.blocks at least 1, got {channels} and {blocks}"
        )
