"""ResNets with squeeze-and-excitation over mel frames, as voxceleb_trainer has them.

34L and Half average frequency away before the pooling over time; V2 pools channels and frequency.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import ResNetSE34Half, ResNetSE34L, ResNetSE34V2
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.squeeze import SqueezeExcitation
from spkmodel.nn.memory_format import arrange_maps
from spkmodel.nn.strided import pointwise_conv2d

_SQUEEZE = 8


def build(config: ResNetSE34L | ResNetSE34Half) -> "ResNetSEEncoder":
    """Build the network of a config, with freshly drawn weights."""
    stem = nn.Sequential(
        nn.Conv2d(1, config.channels[0], 7, stride=(2, 1), padding=3, bias=False),
        nn.BatchNorm2d(config.channels[0]),
        nn.ReLU(),
    )
    pool = pooling.build(config.pooling, config.channels[-1])
    return _assemble(config, stem, (1, 2, 2, 1), MeanFrequency(), pool)


def build_v2(config: ResNetSE34V2) -> "ResNetSEEncoder":
    """Build the network of a config, with freshly drawn weights."""
    stem = nn.Sequential(
        nn.Conv2d(1, config.channels[0], 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(config.channels[0]),
    )
    dim = config.channels[-1] * config.features.mels // 8
    attention = pooling.channel_attention(dim, config.attention_dim)
    weighted = pooling.WeightedMean if config.pooling == "sap" else pooling.WeightedStatistics
    # Channels outermost, as in the trainer's checkpoints.
    return _assemble(config, stem, (1, 2, 2, 2), nn.Flatten(1, 2), weighted(dim, attention))


def _assemble(
    config: ResNetSE34L | ResNetSE34Half | ResNetSE34V2,
    stem: nn.Module,
    strides: tuple[int, ...],
    collapse: nn.Module,
    pool: pooling.Pooling,
) -> "ResNetSEEncoder":
    encoder = ResNetSEEncoder(
        front_end=features.build(config.features),
        stem=stem,
        stages=_stages(config.channels, config.blocks, strides),
        collapse=collapse,
        pool=pool,
        head=nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(pool.out_dim, config.embedding_dim)
        ),
    )
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return encoder


class ResNetSEEncoder(nn.Module):
    """Mel frames as an image, residual stages, frequency collapsed, pooling over time."""

    def __init__(
        self,
        front_end: nn.Module,
        stem: nn.Module,
        stages: nn.Module,
        collapse: nn.Module,
        pool: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.stem = stem
        self.stages = stages
        self.collapse = collapse
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        frames = self.front_end(waveforms)
        maps = arrange_maps(self.stem(frames.unsqueeze(1)))
        maps = self.stages(maps)  # (batch, channels, mels / 8, time / 4 or / 8)
        return self.head(self.pool(self.collapse(maps)))


class MeanFrequency(nn.Module):
    """Frequency averaged away."""

    def forward(
        self, maps: Float[Tensor, "batch channels mels time"]
    ) -> Float[Tensor, "batch channels time"]:
        return maps.mean(dim=2)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, gated and added to the input.

    The first ReLU stands before its BatchNorm, as in the trainer that the lab report used.
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            SqueezeExcitation(channels, channels // _SQUEEZE),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                pointwise_conv2d(channels_in, channels, stride),
                nn.BatchNorm2d(channels),
            )

    def forward(
        self, maps: Float[Tensor, "batch channels_in mels_in time_in"]
    ) -> Float[Tensor, "batch channels mels time"]:
        return torch.relu(self.residual(maps) + self.shortcut(maps))


def _stages(
    channels: tuple[int, ...], blocks: tuple[int, ...], strides: tuple[int, ...]
) -> nn.Sequential:
    stages = nn.Sequential()
    channels_in = channels[0]
    for width, depth, stride in zip(channels, blocks, strides, strict=True):
        for block in range(depth):
            stages.append(BasicBlock(channels_in, width, stride if block == 0 else 1))
            channels_in = width
    return stages
