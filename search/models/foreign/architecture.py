"""Infer the config of a voxceleb_trainer network from the names and shapes of its weights.

What the weights cannot tell is given by a `Reading`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from search.core.errors import UsageError
from spkmodel.config import (
    Encoder,
    LinearMel,
    LogMel,
    Mel,
    RawNet3,
    ResNetSE34Half,
    ResNetSE34L,
    ResNetSE34V2,
    VGGVox,
)

Weights = Mapping[str, Tensor]

KNOWN = "ResNetSE34L, ResNetSE34Half, ResNetSE34V2, VGGVox (SAP, TAP, MAX) and RawNet3"
_HALF_WIDTHS = (32, 64, 128, 256)
_ELSEWHERE = {
    "xvector": "wav2vec or an x-vector",
    "blocks.0.conv": "ECAPA-TDNN (SpeechBrain)",
    "frontend": "ESPnet or WeSpeaker",
    "layer1.0.conv1": "WeSpeaker or torchvision",
    "mods.": "SpeechBrain",
    "embedding_model": "SpeechBrain",
}


@dataclass(frozen=True)
class Reading:
    """The trainer's options that its weights do not record."""

    log_input: bool = True
    """Whether it was trained on log mels, as all published networks were. A command line or config
    without `log_input` had none."""
    int16_scale: bool | None = None
    """Whether audio was read as +-32768, as before 2021-04-24. None: decided by the file."""
    vggvox_pooling: Literal["mean", "max"] | None = None
    """The trainer's TAP (mean) or MAX, which have the same weights."""
    sinc_stride: int = 10
    """The stride of RawNet3's filterbank."""


def infer_config(weights: Weights, reading: Reading) -> Encoder:
    """Return the config of the network that has these weights.

    Raises:
        UsageError: for weights of another network.
    """
    if "conv1.filterbank.low_hz_" in weights:
        return _infer_rawnet3(weights, reading)
    if "netcnn.0.weight" in weights:
        return _infer_vggvox(weights, reading)
    if not {"conv1.weight", "layer4.0.conv1.weight", "fc.weight"} <= set(weights):
        raise UsageError(f"{_guess_origin(weights)}; known are {KNOWN}")
    if "attention.0.weight" in weights:
        return _infer_resnet_v2(weights, reading)
    if "sap_linear.weight" not in weights:
        raise UsageError(f"{_guess_origin(weights)}; known are {KNOWN}")
    if "torchfb.mel_scale.fb" not in weights:
        raise UsageError(
            "ResNetSE34, the thin ResNet-34 on a linear spectrogram of voxceleb_trainer until "
            f"2020-11-23 (no filterbank is among the weights), is not supported; known are {KNOWN}"
        )
    return _infer_resnet(weights, reading)


def _infer_resnet(weights: Weights, reading: Reading) -> Encoder:
    channels, blocks = _count_stages(weights)
    kind = ResNetSE34Half if channels == _HALF_WIDTHS else ResNetSE34L
    return kind(
        features=_make_mel(weights["torchfb.mel_scale.fb"].shape[1], reading),
        channels=channels,
        blocks=blocks,
        pooling=_infer_pooling(weights["fc.weight"], channels[-1]),
        embedding_dim=weights["fc.weight"].shape[0],
    )


def _infer_resnet_v2(weights: Weights, reading: Reading) -> Encoder:
    channels, blocks = _count_stages(weights)
    pooled = weights["attention.0.weight"].shape[1]
    filters = weights.get("torchfb.1.mel_scale.fb")
    # Without a stored filterbank: the pooled width is the channels times an eighth of the mels.
    mels = 8 * pooled // channels[-1] if filters is None else filters.shape[1]
    filter_ = weights.get("torchfb.0.flipped_filter")
    emphasis = 0.97 if filter_ is None else round(-float(filter_.flatten()[0]), 6)
    return ResNetSE34V2(
        features=_make_mel(mels, reading, pre_emphasis=emphasis),
        channels=channels,
        blocks=blocks,
        pooling=_infer_pooling(weights["fc.weight"], pooled),
        attention_dim=weights["attention.0.weight"].shape[0],
        embedding_dim=weights["fc.weight"].shape[0],
    )


def _infer_vggvox(weights: Weights, reading: Reading) -> Encoder:
    has_attention = "sap_linear.weight" in weights
    if not has_attention and reading.vggvox_pooling is None:
        raise UsageError(
            "VGGVox without attention: its encoder_type was TAP or MAX, which have the same "
            "weights; say which with --vggvox-pooling mean (TAP) or max (MAX)"
        )
    return VGGVox(
        features=_make_mel(40, reading, window="hann"),
        channels=tuple(
            weights[f"netcnn.{place}.weight"].shape[0] for place in (0, 4, 8, 11, 14, 18)
        ),
        pooling="sap" if has_attention else reading.vggvox_pooling or "mean",
        embedding_dim=weights["fc.weight"].shape[0],
    )


def _infer_rawnet3(weights: Weights, reading: Reading) -> Encoder:
    groups = sum(name.startswith("layer1.convs.") and name.endswith("weight") for name in weights)
    summary = weights["layer4.weight"].shape[0]
    scores = weights["attention.3.weight"].shape[0]
    return RawNet3(
        pre_emphasis=round(-float(weights["preprocess.0.flipped_filter"].flatten()[0]), 6),
        sinc_stride=reading.sinc_stride,
        channels=weights["layer1.conv1.weight"].shape[0],
        scale=groups + 1,
        summary_dim=summary,
        attention_dim=weights["attention.0.weight"].shape[0],
        pooling="asp" if scores == 1 else "eca",
        embedding_dim=weights["fc6.weight"].shape[0],
    )


def _count_stages(weights: Weights) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the channels and the number of blocks of each of the four stages."""
    stages = range(1, 5)
    channels = tuple(weights[f"layer{stage}.0.conv1.weight"].shape[0] for stage in stages)
    blocks = tuple(
        sum(
            name.startswith(f"layer{stage}.") and name.endswith(".conv1.weight") for name in weights
        )
        for stage in stages
    )
    return channels, blocks


def _infer_pooling(dense: Tensor, pooled: int) -> Literal["sap", "asp"]:
    """Return the pooling, by how many numbers it passes to the dense layer."""
    width = dense.shape[1]
    if width not in (pooled, 2 * pooled):
        raise UsageError(
            f"its dense layer takes {width} numbers, its pooling gives {pooled} (SAP) or "
            f"{2 * pooled} (ASP); known are {KNOWN}"
        )
    return "sap" if width == pooled else "asp"


def _make_mel(
    mels: int,
    reading: Reading,
    window: Literal["hamming", "hann"] = "hamming",
    pre_emphasis: float = 0.0,
) -> Mel:
    if reading.log_input:
        return LogMel(mels=mels, window=window, pre_emphasis=pre_emphasis, normalisation="instance")
    return LinearMel(mels=mels, window=window, pre_emphasis=pre_emphasis)


def _guess_origin(weights: Weights) -> str:
    names = list(weights)
    for sign, origin in _ELSEWHERE.items():
        if any(sign in name for name in names):
            return f"weights of another network, by their names of {origin} ({names[0]}, ...)"
    return f"weights of another network ({', '.join(names[:3])}, ...)"
