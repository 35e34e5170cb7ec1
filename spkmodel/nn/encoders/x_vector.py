"""The x-vector network: time-delay layers over mel frames; see `config.XVector`."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import XVector
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.time_delay import time_delay

_KERNELS = (5, 3, 3, 1, 1)
_DILATIONS = (1, 2, 3, 1, 1)
_SIGHT = 1 + sum(
    dilation * (kernel - 1) for kernel, dilation in zip(_KERNELS, _DILATIONS, strict=True)
)


def build(config: XVector) -> "XVectorEncoder":
    """Build the network of a config, with freshly drawn weights."""
    pool = pooling.build(config.pooling, config.summary_dim)
    widths = (config.features.mels, *(config.channels,) * 4, config.summary_dim)
    # Norms without scale and offset, and no padding, as in Kaldi's recipe.
    layers = [
        time_delay(width_in, width, kernel, dilation, padded=False, affine=False)
        for width_in, width, kernel, dilation in zip(
            widths[:-1], widths[1:], _KERNELS, _DILATIONS, strict=True
        )
    ]
    return XVectorEncoder(
        front_end=features.build(config.features),
        layers=nn.Sequential(*layers),
        pool=pool,
        head=nn.Sequential(
            nn.Linear(pool.out_dim, config.segment_dim),
            nn.ReLU(),
            nn.BatchNorm1d(config.segment_dim, affine=False),
            nn.Dropout(config.dropout),
            nn.Linear(config.segment_dim, config.embedding_dim),
        ),
    )


class XVectorEncoder(nn.Module):
    """Layers over time, pooling, dense layers."""

    def __init__(
        self, front_end: nn.Module, layers: nn.Module, pool: nn.Module, head: nn.Module
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.layers = layers
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        frames = self.front_end(waveforms)  # (batch, mels, time)
        missing = max(_SIGHT - frames.shape[2], 0)
        frames = F.pad(frames, (missing // 2, missing - missing // 2), mode="replicate")
        return self.head(self.pool(self.layers(frames)))
