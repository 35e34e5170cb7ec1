"""Pool a sequence over time into one vector per utterance; see `config.Pooling`.

Weights, means and deviations are taken in float32: a mean of squares loses too much in a shorter
format.
"""

import math
from typing import Literal, assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import MultiHead
from spkmodel.config import Pooling as PoolingConfig

Range = tuple[float, float]

_VARIANCES: Range = (1e-5, math.inf)
_HIDDEN = 128


def build(pooling: PoolingConfig, dim: int) -> "Pooling":
    """Build a pooling over (batch, dim, time)."""
    match pooling:
        case "mean":
            return Mean(dim)
        case "max":
            return Max(dim)
        case "statistics":
            return Statistics(dim)
        case "sap" | "channel_sap":
            return WeightedMean(dim, _attention(pooling, dim))
        case "asp" | "channel_asp" | "context_asp":
            return WeightedStatistics(dim, _attention(pooling, dim))
        case MultiHead():
            attention = HeadAttention(dim, pooling.heads)
            weighted = WeightedStatistics if pooling.deviation else WeightedMean
            return weighted(dim, attention)
        case _:
            assert_never(pooling)


def _attention(
    pooling: Literal["sap", "asp", "channel_sap", "channel_asp", "context_asp"], dim: int
) -> nn.Module:
    match pooling:
        case "sap" | "asp":
            return Attention(dim)
        case "channel_sap" | "channel_asp":
            return channel_attention(dim)
        case "context_asp":
            return context_attention(dim)
        case _:
            assert_never(pooling)


class Pooling(nn.Module):
    """(batch, dim, time) to (batch, out_dim)."""

    out_dim: int


class Mean(Pooling):
    """Mean over time (TAP)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        return frames.float().mean(dim=2)


class Max(Pooling):
    """Largest over time."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        return frames.float().amax(dim=2)


class Statistics(Pooling):
    """Mean and deviation over time (Snyder et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = 2 * dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        # Three times as fast on CPU as torch.var_mean.
        frames = frames.float()
        mean = frames.mean(dim=2, keepdim=True)
        variance = (frames - mean).square().mean(dim=2)
        return torch.cat([mean.squeeze(2), _deviation(variance, _VARIANCES)], dim=1)


class WeightedMean(Pooling):
    """Mean over time under attention (SAP; Cai et al. 2018, arXiv:1804.05160)."""

    def __init__(self, dim: int, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.out_dim = dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        return (self.attention(frames) * frames.float()).sum(dim=2)


class WeightedStatistics(Pooling):
    """Mean and deviation over time under attention (ASP; Okabe et al. 2018, arXiv:1803.10963)."""

    def __init__(self, dim: int, attention: nn.Module, variances: Range = _VARIANCES) -> None:
        super().__init__()
        self.attention = attention
        self.variances = variances
        self.out_dim = 2 * dim

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch pooled"]:
        # In float32: the variance is a difference of two almost equal numbers.
        weights, frames = self.attention(frames), frames.float()
        mean = (weights * frames).sum(dim=2)
        variance = (weights * frames.square()).sum(dim=2) - mean.square()
        return torch.cat([mean, _deviation(variance, self.variances)], dim=1)


class Attention(nn.Module):
    """One weight per frame, summing to 1: softmax over time of v . tanh(W x + b)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.hidden = nn.Conv1d(dim, dim, kernel_size=1)
        self.direction = nn.Parameter(torch.empty(dim, 1))
        nn.init.xavier_normal_(self.direction)

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch 1 time"]:
        scores = self.direction.T @ torch.tanh(self.hidden(frames))
        # Weights over hundreds of frames sum to 1 only in float32.
        return scores.float().softmax(dim=2)


class ScoredAttention(nn.Module):
    """Softmax over time of what `scores` makes of each frame: one weight, or one per channel."""

    def __init__(self, scores: nn.Module) -> None:
        super().__init__()
        self.scores = scores

    def forward(
        self, frames: Float[Tensor, "batch dim time"]
    ) -> Float[Tensor, "batch weights time"]:
        return self.scores(frames).float().softmax(dim=2)


class Context(nn.Module):
    """Beside each frame the mean and the deviation of its utterance (Desplanques et al. 2020).

    ECAPA-TDNN, arXiv:2005.07143, section 3.1. The deviation is the unbiased one.
    """

    def __init__(self, variances: Range = _VARIANCES) -> None:
        super().__init__()
        self.variances = variances

    def forward(
        self, frames: Float[Tensor, "batch dim time"]
    ) -> Float[Tensor, "batch dim_in_context time"]:
        frames = frames.float()
        mean = frames.mean(dim=2, keepdim=True)
        # A single frame has no unbiased variance.
        variance = (frames - mean).square().sum(dim=2, keepdim=True) / max(frames.shape[2] - 1, 1)
        deviation = _deviation(variance, self.variances)
        return torch.cat([frames, mean.expand_as(frames), deviation.expand_as(frames)], dim=1)


class HeadAttention(nn.Module):
    """One weight per frame and head, softmax over time of u . x / sqrt(d), d channels a head.

    India et al. 2019, arXiv:1906.09890; the heads take their channels in order.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(heads, dim // heads))
        nn.init.xavier_normal_(self.directions)

    def forward(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch dim time"]:
        heads, width = self.directions.shape
        shares = frames.float().reshape(frames.shape[0], heads, width, frames.shape[2])
        with torch.autocast(frames.device.type, enabled=False):
            scores = torch.einsum("bhdt,hd->bht", shares, self.directions) / math.sqrt(width)
        return scores.softmax(dim=2).repeat_interleave(width, dim=1)


def channel_attention(dim: int, hidden: int = _HIDDEN) -> ScoredAttention:
    """Build attention with one weight per frame and channel, as voxceleb_trainer's ResNetSE34V2."""
    return ScoredAttention(
        nn.Sequential(
            nn.Conv1d(dim, hidden, kernel_size=1),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Conv1d(hidden, dim, kernel_size=1),
        )
    )


def context_attention(
    dim: int,
    hidden: int = _HIDDEN,
    middle: Literal["tanh", "relu_norm"] = "tanh",
    weights: int | None = None,
    variances: Range = _VARIANCES,
) -> ScoredAttention:
    """Build attention that sees the utterance's statistics, as ECAPA-TDNN or RawNet3 ("relu_norm").

    Args:
        dim: channels that are pooled.
        hidden: width between the two dense layers.
        middle: what stands between them; tanh as in the paper, or ReLU and BatchNorm.
        weights: per frame: one for each channel (None), or 1.
        variances: to what range the variance of the context is clamped.
    """
    between = [nn.Tanh()] if middle == "tanh" else [nn.ReLU(), nn.BatchNorm1d(hidden)]
    return ScoredAttention(
        nn.Sequential(
            Context(variances),
            nn.Conv1d(3 * dim, hidden, kernel_size=1),
            *between,
            nn.Conv1d(hidden, dim if weights is None else weights, kernel_size=1),
        )
    )


def _deviation(variance: Float[Tensor, "*place"], variances: Range) -> Float[Tensor, "*place"]:
    # Clamped first: the slope of the root is infinite at 0.
    return variance.clamp(min=variances[0], max=variances[1]).sqrt()
