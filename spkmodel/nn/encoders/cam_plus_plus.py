"""CAM++: densely connected time-delay layers with masks; see `config.CAMPlusPlus`."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import CAMPlusPlus
from spkmodel.config.field_encoders import eighth
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.residual import normed, stage

_HEAD_DEPTH = 2
_KERNEL = 3


def build(config: CAMPlusPlus) -> "CAMPlusPlusEncoder":
    """Build the network of a config, with freshly drawn weights."""
    pool = pooling.build(config.pooling, config.pooled_dim)
    encoder = CAMPlusPlusEncoder(
        front_end=features.build(config.features),
        band_head=_band_head(config.head_channels),
        layers=_layers(config),
        pool=pool,
        head=nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(pool.out_dim, config.embedding_dim, bias=False),
            nn.BatchNorm1d(config.embedding_dim, affine=False),
        ),
    )
    for module in encoder.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return encoder


class CAMPlusPlusEncoder(nn.Module):
    """Mel frames as an image, then channels and bands over time, pooling, dense."""

    def __init__(
        self,
        front_end: nn.Module,
        band_head: nn.Module,
        layers: nn.Module,
        pool: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.band_head = band_head
        self.layers = layers
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        maps = self.band_head(self.front_end(waveforms).unsqueeze(1))
        return self.head(self.pool(self.layers(maps.flatten(1, 2))))


class DenseLayer(nn.Module):
    """Concatenate a layer's output to its input along the channels."""

    def __init__(self, added: nn.Module) -> None:
        super().__init__()
        self.added = added

    def forward(
        self, frames: Float[Tensor, "batch channels_in time"]
    ) -> Float[Tensor, "batch channels time"]:
        return torch.cat([frames, self.added(frames)], dim=1)


class MaskedConv(nn.Module):
    """Context-aware masking: a convolution, each frame scaled by what surrounds it."""

    def __init__(self, channels_in: int, channels: int, dilation: int, segment_frames: int) -> None:
        super().__init__()
        self.segment_frames = segment_frames
        self.local = nn.Conv1d(
            channels_in, channels, _KERNEL, dilation=dilation, padding=dilation, bias=False
        )
        self.mask = nn.Sequential(
            nn.Conv1d(channels_in, channels_in // 2, 1),
            nn.ReLU(),
            nn.Conv1d(channels_in // 2, channels, 1),
            nn.Sigmoid(),
        )

    def forward(
        self, frames: Float[Tensor, "batch channels_in time"]
    ) -> Float[Tensor, "batch channels time"]:
        of_all = frames.mean(dim=2, keepdim=True)
        segments = F.avg_pool1d(frames, self.segment_frames, ceil_mode=True)
        # The mask is the same all over a segment.
        masks = self.mask(of_all + segments).repeat_interleave(self.segment_frames, dim=2)
        return self.local(frames) * masks[:, :, : frames.shape[2]]


def _band_head(channels: int) -> nn.Sequential:
    """Build two stages and a convolution that each halve the bands and keep the time."""
    return nn.Sequential(
        *normed(nn.Conv2d(1, channels, 3, padding=1, bias=False)),
        nn.ReLU(),
        *stage(channels, channels, _HEAD_DEPTH, (2, 1)),
        *stage(channels, channels, _HEAD_DEPTH, (2, 1)),
        *normed(nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)),
        nn.ReLU(),
    )


def _layers(config: CAMPlusPlus) -> nn.Sequential:
    """Build a layer that halves the time, then the blocks, each with a halving of channels."""
    channels_in = config.head_channels * eighth(config.features.mels)
    layers = nn.Sequential(
        nn.Conv1d(channels_in, config.channels, 5, stride=2, padding=2, bias=False),
        *_norm(config.channels),
    )
    channels = config.channels
    for depth, dilation in zip(config.blocks, config.dilations, strict=True):
        for _ in range(depth):
            layers.append(_dense_layer(config, channels, dilation))
            channels += config.growth
        layers.extend([*_norm(channels), nn.Conv1d(channels, channels // 2, 1, bias=False)])
        channels //= 2
    return layers.extend(_norm(channels))


def _dense_layer(config: CAMPlusPlus, channels: int, dilation: int) -> DenseLayer:
    return DenseLayer(
        nn.Sequential(
            *_norm(channels),
            nn.Conv1d(channels, config.bottleneck, 1, bias=False),
            *_norm(config.bottleneck),
            MaskedConv(config.bottleneck, config.growth, dilation, config.segment_frames),
        )
    )


def _norm(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm1d(channels), nn.ReLU()]
