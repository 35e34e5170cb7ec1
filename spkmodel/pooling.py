"""From a sequence over time to one vector per utterance.

Statistics are taken in float32: a mean of squares loses too much in a shorter format.
"""

from typing import Literal, assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn

_VARIANCE_FLOOR = 1e-5


def build(
    pooling: Literal["statistics", "sap", "asp"], dim: int
) -> "Statistics | SelfAttentive | AttentiveStatistics":
    """A pooling over (batch, dim, time), whose `out_dim` is the width of what it gives."""
    match pooling:
        case "statistics":
            return Statistics(dim)
        case "sap":
            return SelfAttentive(dim)
        case "asp":
            return AttentiveStatistics(dim)
        case _:
            assert_never(pooling)


class Statistics(nn.Module):
    """Mean and deviation over time (Snyder et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = 2 * dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        # Three times as fast on CPU as torch.var_mean.
        frames = frames.float()
        mean = frames.mean(dim=2, keepdim=True)
        variance = (frames - mean).square().mean(dim=2)
        return torch.cat([mean.squeeze(2), variance.clamp(min=_VARIANCE_FLOOR).sqrt()], dim=1)


class Attention(nn.Module):
    """One weight per frame, summing to 1: softmax over time of v . tanh(W x + b)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hidden = nn.Conv1d(dim, dim, kernel_size=1)
        self.direction = nn.Parameter(torch.empty(dim, 1))
        nn.init.xavier_normal_(self.direction)

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch 1 time"]:
        scores = self.direction.T @ torch.tanh(self.hidden(frames))
        return scores.float().softmax(dim=2)


class SelfAttentive(nn.Module):
    """Weighted mean over time (SAP; Cai et al. 2018, arXiv:1804.05160)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention = Attention(dim)
        self.out_dim = dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        return (self.attention(frames) * frames.float()).sum(dim=2)


class AttentiveStatistics(nn.Module):
    """Weighted mean and deviation over time (ASP; Okabe et al. 2018, arXiv:1803.10963)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention = Attention(dim)
        self.out_dim = 2 * dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        weights, frames = self.attention(frames), frames.float()
        mean = (weights * frames).sum(dim=2)
        variance = (weights * frames.square()).sum(dim=2) - mean.square()
        return torch.cat([mean, variance.clamp(min=_VARIANCE_FLOOR).sqrt()], dim=1)
