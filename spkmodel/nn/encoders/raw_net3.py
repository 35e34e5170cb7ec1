"""RawNet3: learned filters on the waveform, Res2Net blocks, pooling in context.

See `config.RawNet3`; what the paper leaves open is as in voxceleb_trainer.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import RawNet3
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.sinc import SincFilters
from spkmodel.nn.encoders.time_delay import time_delay

_FILTER_SAMPLES = 251
_KERNEL = 3
_DILATIONS = (2, 3, 4)
_POOLS = (5, 3, 1)
_MAGNITUDE_FLOOR = 1e-6
_VARIANCES = (1e-4, 1e4)


def build(config: RawNet3) -> "RawNet3Encoder":
    """Build the network of a config, with freshly drawn weights."""
    channels, dim = config.channels, config.summary_dim
    attention = pooling.context_attention(
        dim,
        hidden=config.attention_dim,
        middle="relu_norm",
        weights=None if config.pooling == "eca" else 1,
        variances=_VARIANCES,
    )
    pool = pooling.WeightedStatistics(dim, attention, _VARIANCES)
    widths = (channels // 4, channels, channels)
    return RawNet3Encoder(
        front_end=SincFrontEnd(config.pre_emphasis, channels // 4, config.sinc_stride),
        blocks=[
            Res2Block(width, channels, config.scale, dilation, pooled)
            for width, dilation, pooled in zip(widths, _DILATIONS, _POOLS, strict=True)
        ],
        summary=nn.Sequential(nn.Conv1d(3 * channels, dim, kernel_size=1), nn.ReLU()),
        pool=pool,
        head=nn.Sequential(
            nn.BatchNorm1d(pool.out_dim),
            nn.Dropout(config.dropout),
            nn.Linear(pool.out_dim, config.embedding_dim),
        ),
        idle=[nn.BatchNorm1d(channels // 4), nn.BatchNorm1d(config.embedding_dim)],
    )


class RawNet3Encoder(nn.Module):
    """Three blocks, the last fed with the sum of the first two; all of them pooled.

    `idle` holds the two BatchNorms that the trainer's network counts and saves but never applies
    (of its filters and of its embedding). Here they are frozen, so that no optimiser sees them.
    """

    def __init__(
        self,
        front_end: nn.Module,
        blocks: list["Res2Block"],
        summary: nn.Module,
        pool: nn.Module,
        head: nn.Module,
        idle: list[nn.BatchNorm1d],
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.blocks = nn.ModuleList(blocks)
        self.summary = summary
        self.pool = pool
        self.head = head
        self.idle = nn.ModuleList(idle).requires_grad_(False)
        # The first block's output is brought to the length of the second's.
        self.shorten = nn.MaxPool1d(_POOLS[1])

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        first_block, second_block, third_block = self.blocks
        first = first_block(self.front_end(waveforms))
        second = second_block(first)
        first = self.shorten(first)
        third = third_block(first + second)
        return self.head(self.pool(self.summary(torch.cat([first, second, third], dim=1))))


class SincFrontEnd(nn.Module):
    """Log magnitude of the learned filters, each filter's mean over time removed; in float32."""

    def __init__(self, pre_emphasis: float, filters: int, stride: int) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis
        self.norm = nn.InstanceNorm1d(1, eps=1e-4, affine=True)
        self.filters = SincFilters(filters, _FILTER_SAMPLES, stride)

    def forward(
        self, waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch filters time"]:
        with torch.autocast(waveforms.device.type, enabled=False):
            emphasised = features.pre_emphasise(waveforms.float(), self.pre_emphasis)
            filtered = self.filters(self.norm(emphasised.unsqueeze(1)))
            frames = filtered.abs().add(_MAGNITUDE_FLOOR).log()
            return frames - frames.mean(dim=2, keepdim=True)


class Res2Block(nn.Module):
    """Res2Net block (Gao et al. 2019, arXiv:1904.01169) with pooling and feature map scaling.

    Every ReLU stands before its BatchNorm. Of the `scale` groups of channels the first ones go
    through convolutions, each with the output of the one before added; the last stays as it is.
    """

    def __init__(
        self, channels_in: int, channels: int, scale: int, dilation: int, pooled: int
    ) -> None:
        super().__init__()
        width = channels // scale
        self.expand = time_delay(channels_in, channels, 1)
        self.groups = nn.ModuleList(
            time_delay(width, width, _KERNEL, dilation) for _ in range(scale - 1)
        )
        self.merge = time_delay(channels, channels, 1)
        self.shortcut = nn.Sequential()
        if channels_in != channels:
            self.shortcut.append(nn.Conv1d(channels_in, channels, kernel_size=1, bias=False))
        self.shorten = nn.MaxPool1d(pooled)
        self.scaling = FeatureMapScaling(channels)

    def forward(
        self, frames: Float[Tensor, "batch channels_in time_in"]
    ) -> Float[Tensor, "batch channels time"]:
        parts = self.expand(frames).chunk(len(self.groups) + 1, dim=1)
        outputs = [self.groups[0](parts[0])]
        for group, part in zip(self.groups[1:], parts[1:-1], strict=True):
            outputs.append(group(outputs[-1] + part))
        merged = self.merge(torch.cat([*outputs, parts[-1]], dim=1))
        return self.scaling(self.shorten(merged + self.shortcut(frames)))


class FeatureMapScaling(nn.Module):
    """An offset, then a gate, per channel (alpha-FMS; Jung et al. 2020, RawNet2, arXiv:2004.00526).

    The gates are read off the means of the maps before the offset.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.ones(channels, 1))
        self.gate = nn.Linear(channels, channels)

    def forward(
        self, frames: Float[Tensor, "batch channels time"]
    ) -> Float[Tensor, "batch channels time"]:
        gates = torch.sigmoid(self.gate(frames.mean(dim=2)))
        return (frames + self.offset) * gates.unsqueeze(2)
