"""ECAPA-TDNN: gated Res2Net blocks over mel frames; see `config.ECAPATDNN`."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import ECAPATDNN
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.squeeze import SqueezeExcitation
from spkmodel.nn.encoders.time_delay import time_delay

_FIRST_KERNEL = 5
_KERNEL = 3


def build(config: ECAPATDNN) -> "ECAPATDNNEncoder":
    """Build the network of a config, with freshly drawn weights."""
    pool = pooling.build(config.pooling, config.summary_dim)
    blocks = [
        GatedRes2Block(config.channels, config.scale, dilation, config.squeeze_dim)
        for dilation in config.dilations
    ]
    head = nn.Sequential(
        nn.BatchNorm1d(pool.out_dim),
        nn.Dropout(config.dropout),
        nn.Linear(pool.out_dim, config.embedding_dim),
    )
    if config.embedding_norm == "batch":
        head.append(nn.BatchNorm1d(config.embedding_dim))
    return ECAPATDNNEncoder(
        front_end=features.build(config.features),
        first=time_delay(config.features.mels, config.channels, _FIRST_KERNEL),
        blocks=blocks,
        sum_inputs=config.sum_inputs,
        summary=nn.Sequential(
            nn.Conv1d(len(blocks) * config.channels, config.summary_dim, 1), nn.ReLU()
        ),
        pool=pool,
        head=head,
    )


class ECAPATDNNEncoder(nn.Module):
    """A layer over time, blocks, all of their outputs seen by the pooling, dense."""

    def __init__(
        self,
        front_end: nn.Module,
        first: nn.Module,
        blocks: list["GatedRes2Block"],
        sum_inputs: bool,
        summary: nn.Module,
        pool: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.first = first
        self.blocks = nn.ModuleList(blocks)
        self.sum_inputs = sum_inputs
        self.summary = summary
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        frames = self.first(self.front_end(waveforms))  # (batch, channels, time)
        outputs = []
        for block in self.blocks:
            outputs.append(block(frames))
            frames = frames + outputs[-1] if self.sum_inputs else outputs[-1]
        return self.head(self.pool(self.summary(torch.cat(outputs, dim=1))))


class GatedRes2Block(nn.Module):
    """SE-Res2Block: 1x1, dilated Res2 convolutions, 1x1, squeeze and excitation, residual."""

    def __init__(self, channels: int, scale: int, dilation: int, squeeze_dim: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            time_delay(channels, channels, 1),
            Res2Layers(channels, scale, dilation),
            time_delay(channels, channels, 1),
            SqueezeExcitation(channels, squeeze_dim),
        )

    def forward(
        self, frames: Float[Tensor, "batch channels time"]
    ) -> Float[Tensor, "batch channels time"]:
        return frames + self.residual(frames)


class Res2Layers(nn.Module):
    """Channels in groups, each added to what its predecessor became (Gao et al. 2019, eq. 1).

    Res2Net, arXiv:1904.01169. The group without a layer is the last one, not the first; which of
    them is a matter of the order of channels alone.
    """

    def __init__(self, channels: int, scale: int, dilation: int) -> None:
        super().__init__()
        self.scale = scale
        width = channels // scale
        self.layers = nn.ModuleList(
            time_delay(width, width, _KERNEL, dilation) for _ in range(scale - 1)
        )

    def forward(
        self, frames: Float[Tensor, "batch channels time"]
    ) -> Float[Tensor, "batch channels time"]:
        *groups, untouched = frames.chunk(self.scale, dim=1)
        outputs: list[Tensor] = []
        for group, layer in zip(groups, self.layers, strict=True):
            outputs.append(layer(group + outputs[-1] if outputs else group))
        return torch.cat([*outputs, untouched], dim=1)
