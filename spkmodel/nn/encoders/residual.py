"""The residual block of ResNet-18 and 34 (He et al. 2016, arXiv:1512.03385, fig. 5 left)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.nn.strided import pointwise_conv2d


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, added to the input; strides are those of bands and of time."""

    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *normed(nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)),
            nn.ReLU(),
            *normed(nn.Conv2d(channels, channels, 3, padding=1, bias=False)),
        )
        self.shortcut = nn.Sequential()
        if stride != (1, 1) or channels_in != channels:
            self.shortcut = nn.Sequential(*normed(pointwise_conv2d(channels_in, channels, stride)))

    def forward(
        self, maps: Float[Tensor, "batch channels_in bands_in time_in"]
    ) -> Float[Tensor, "batch channels bands time"]:
        return torch.relu(self.residual(maps) + self.shortcut(maps))


def stage(
    channels_in: int, channels: int, depth: int, stride: tuple[int, int]
) -> list[ResidualBlock]:
    """Build a sequence of blocks, of which the first has the stride."""
    first = ResidualBlock(channels_in, channels, stride)
    return [first, *(ResidualBlock(channels, channels, (1, 1)) for _ in range(depth - 1))]


def normed(conv: nn.Conv2d) -> list[nn.Module]:
    """Return a convolution followed by its BatchNorm."""
    return [conv, nn.BatchNorm2d(conv.out_channels)]
