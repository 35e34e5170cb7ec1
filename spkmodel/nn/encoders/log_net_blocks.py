"""Building blocks of the log's network.

Convolutions run over time alone. They are written as images of height 1 because torch can then keep
the channels innermost, which on CPU is a third faster. Lengths follow one rule: a stride of 2 makes
n into ceil(n / 2).
"""

from typing import Literal, assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Merge = Literal["add", "concatenate"]


class SameConv(nn.Conv2d):
    """Convolution with "same" padding: length ceil(n / stride), an odd zero on the right."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__(channels_in, channels, (1, kernel), stride=(1, stride), bias=bias)

    def forward(
        self, inputs: Float[Tensor, "batch channels_in 1 time_in"]
    ) -> Float[Tensor, "batch channels 1 time"]:
        kernel, stride, samples = self.kernel_size[1], self.stride[1], inputs.shape[3]
        missing = max((-(-samples // stride) - 1) * stride + kernel - samples, 0)
        left, right = missing // 2, missing - missing // 2
        if left == right:
            return F.conv2d(inputs, self.weight, self.bias, self.stride, (0, left))
        return F.conv2d(F.pad(inputs, (left, right)), self.weight, self.bias, self.stride)


class ResBlock(nn.Module):
    """A residual that keeps the shape, added to the input."""

    def __init__(self, residual: nn.Module) -> None:
        super().__init__()
        self.residual = residual

    def forward(
        self, maps: Float[Tensor, "batch channels 1 time"]
    ) -> Float[Tensor, "batch channels 1 time"]:
        return maps + self.residual(maps)


class EBlock(nn.Module):
    """Halve the time axis; the pooled input is added to the output or concatenated with it."""

    def __init__(self, layers: list[nn.Module], shortcut: nn.Module | None, merge: Merge) -> None:
        super().__init__()
        self.residual = nn.Sequential(*layers)
        self.shortcut = shortcut
        self.merge = merge

    def forward(
        self, maps: Float[Tensor, "batch channels_in 1 time_in"]
    ) -> Float[Tensor, "batch channels 1 time"]:
        residual = self.residual(maps)
        if self.shortcut is None:
            return residual
        match self.merge:
            case "add":
                return residual + self.shortcut(maps)
            case "concatenate":
                return torch.cat([self.shortcut(maps), residual], dim=1)
            case _:
                assert_never(self.merge)


class WidenChannels(nn.Module):
    """Pad with channels of zeros, up to `channels`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(
        self, maps: Float[Tensor, "batch channels_in 1 time"]
    ) -> Float[Tensor, "batch channels 1 time"]:
        return F.pad(maps, (0, 0, 0, 0, 0, self.channels - maps.shape[1]))


class FCBlock(nn.Module):
    """Dense layers with activations between them; their input may be added to their output."""

    def __init__(self, layers: list[nn.Module], shortcut: nn.Module | None) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, pooled: Float[Tensor, "batch width"]) -> Float[Tensor, "batch dim"]:
        if self.shortcut is None:
            return self.layers(pooled)
        return self.shortcut(pooled) + self.layers(pooled)


class UnitLength(nn.Module):
    """L2-normalise the embeddings."""

    def forward(self, embeddings: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        return F.normalize(embeddings, dim=1)
