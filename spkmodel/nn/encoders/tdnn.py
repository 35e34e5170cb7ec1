"""Time-delay network: one-dimensional convolutions over log-mel frames; see `config.TDNN`."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import TDNN
from spkmodel.nn import features, pooling
from spkmodel.nn.encoders.time_delay import time_delay


def build(config: TDNN) -> "TDNNEncoder":
    """Build the network of a config, with freshly drawn weights."""
    summary_dim = config.expansion * config.channels
    pool = pooling.build(config.pooling, summary_dim)
    return TDNNEncoder(
        front_end=features.build(config.features),
        first=time_delay(config.features.mels, config.channels, kernel=5),
        residuals=[
            time_delay(config.channels, config.channels, kernel=3, dilation=dilation)
            for dilation in config.dilations
        ],
        summary=time_delay((1 + len(config.dilations)) * config.channels, summary_dim, kernel=1),
        pool=pool,
        head=nn.Sequential(
            nn.BatchNorm1d(pool.out_dim),
            nn.Dropout(config.dropout),
            nn.Linear(pool.out_dim, config.embedding_dim, bias=False),
            nn.BatchNorm1d(config.embedding_dim),
        ),
    )


class TDNNEncoder(nn.Module):
    """Layers over time, each added to its input, all of them seen by the pooling."""

    def __init__(
        self,
        front_end: nn.Module,
        first: nn.Module,
        residuals: list[nn.Sequential],
        summary: nn.Module,
        pool: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.first = first
        self.residuals = nn.ModuleList(residuals)
        self.summary = summary
        self.pool = pool
        self.head = head

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        outputs = [self.first(self.front_end(waveforms))]  # each (batch, channels, time)
        for layer in self.residuals:
            outputs.append(outputs[-1] + layer(outputs[-1]))
        return self.head(self.pool(self.summary(torch.cat(outputs, dim=1))))
