"""A layer over time, of which the time-delay networks are made."""

from torch import nn


def time_delay(
    channels_in: int,
    channels: int,
    kernel: int,
    dilation: int = 1,
    padded: bool = True,
    affine: bool = True,
) -> nn.Sequential:
    """Build convolution, ReLU and BatchNorm; with padding the length stays the same."""
    padding = dilation * (kernel - 1) // 2 if padded else 0
    return nn.Sequential(
        nn.Conv1d(channels_in, channels, kernel, dilation=dilation, padding=padding),
        nn.ReLU(),
        nn.BatchNorm1d(channels, affine=affine),
    )
