"""Norms over maps of shape (batch, channels, 1, time), with an offset and mostly no scale."""

from typing import assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import BatchRenorm
from spkmodel.config.log_net import Norm


def build(norm: Norm, channels: int, renorm: BatchRenorm) -> list[nn.Module]:
    """Build a norm, or no module for "none"."""
    match norm:
        case "batch":
            return [OffsetBatchNorm(channels)]
        case "batch_renorm":
            return [
                OffsetBatchRenorm(
                    channels,
                    r_max=renorm.r_max,
                    d_max=renorm.d_max,
                    hold_batches=renorm.hold_batches,
                    r_batches=renorm.r_batches,
                    d_batches=renorm.d_batches,
                )
            ]
        case "layer":
            return [nn.GroupNorm(1, channels)]
        case "none":
            return []
        case _:
            assert_never(norm)


def takes_out_the_bias(norm: Norm) -> bool:
    """Return whether a norm subtracts what the bias of the convolution before it adds."""
    return norm in ("batch", "batch_renorm")


class OffsetBatchNorm(nn.BatchNorm2d):
    """BatchNorm with an offset and no scale.

    The log's running statistics decay by 0.999 a step, over some 63,000 steps; here by torch's
    0.9, since a first rung may be no more than a hundred.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        self.bias = nn.Parameter(torch.zeros(channels))


class OffsetBatchRenorm(nn.Module):
    """Batch Renormalisation with an offset and no scale (Ioffe 2017, arXiv:1702.03275, alg. 1).

    In training the batch's own statistics, corrected by r and d towards the running ones, through
    which no gradient flows: (x - mean) / deviation * r + d. In evaluation the running ones. As in
    the paper it is the deviation that is averaged, not the variance.
    """

    _MOMENTUM = 0.1
    _EPSILON = 1e-5

    running_mean: Tensor
    running_deviation: Tensor
    batches: Tensor

    def __init__(
        self,
        channels: int,
        r_max: float,
        d_max: float,
        hold_batches: int,
        r_batches: int,
        d_batches: int,
    ) -> None:
        super().__init__()
        self.r_max = r_max
        self.d_max = d_max
        self.hold_batches = hold_batches
        self.r_batches = r_batches
        self.d_batches = d_batches
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_deviation", torch.ones(channels))
        self.register_buffer("batches", torch.tensor(0))

    def forward(
        self, maps: Float[Tensor, "batch channels 1 time"]
    ) -> Float[Tensor, "batch channels 1 time"]:
        if not self.training:
            # `batch_norm` adds epsilon again before it takes the root.
            variance = self.running_deviation.square() - self._EPSILON
            return F.batch_norm(
                maps, self.running_mean, variance, bias=self.bias, eps=self._EPSILON
            )
        r, d = self._corrections(maps)
        return F.batch_norm(
            maps, None, None, weight=r, bias=d + self.bias, training=True, eps=self._EPSILON
        )

    def limits(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the limits of r and d in the batch that was counted last."""
        r_share, d_share = (
            ((self.batches - self.hold_batches) / max(batches - self.hold_batches, 1)).clamp(0, 1)
            for batches in (self.r_batches, self.d_batches)
        )
        return 1 + (self.r_max - 1) * r_share, self.d_max * d_share

    @torch.no_grad()
    def _corrections(
        self, maps: Float[Tensor, "batch channels 1 time"]
    ) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
        """Return the corrections r and d of a batch, and update the running statistics with it."""
        # In float32 under autocast: a variance in bfloat16 has two digits.
        maps = maps.float()
        mean = maps.mean(dim=(0, 2, 3))
        variance = (maps - mean[:, None, None]).square().mean(dim=(0, 2, 3))
        deviation = (variance + self._EPSILON).sqrt()
        self.batches += 1
        r_limit, d_limit = self.limits()
        r = (deviation / self.running_deviation).clamp(1 / r_limit, r_limit)
        d = ((mean - self.running_mean) / self.running_deviation).clamp(-d_limit, d_limit)
        # After r and d: the batch must not be compared with statistics that contain it.
        self.running_mean.lerp_(mean, self._MOMENTUM)
        self.running_deviation.lerp_(deviation, self._MOMENTUM)
        return r, d
