"""Band-pass filters with learned edges, in pairs of a cosine and a sine.

SincNet (Ravanelli and Bengio 2018, arXiv:1808.00158, section 2), made analytic by the sines
of Pariente et al. 2020 (arXiv:1910.10400).
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.nn.features import SAMPLE_RATE

_LOWEST_HZ = 50.0
_NARROWEST_HZ = 50.0
_FIRST_EDGE_HZ = 30.0


class SincFilters(nn.Module):
    """One channel to `filters`: all the cosines, then all the sines; no padding."""

    window: Tensor
    times: Tensor

    def __init__(self, filters: int, samples: int, stride: int) -> None:
        """Bands of equal width on the mel scale, from 80 Hz up; `filters` even, `samples` odd."""
        super().__init__()
        self.stride = stride
        edges = _mel_spaced(
            _FIRST_EDGE_HZ, SAMPLE_RATE / 2 - _LOWEST_HZ - _NARROWEST_HZ, filters // 2 + 1
        )
        self.low_hz = nn.Parameter(edges[:-1].unsqueeze(1))
        self.band_hz = nn.Parameter(edges.diff().unsqueeze(1))
        half = samples // 2
        window = torch.hamming_window(samples, periodic=False, dtype=torch.float64)[:half].float()
        times = 2 * math.pi * (torch.arange(-half, 0.0).unsqueeze(0) / SAMPLE_RATE)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("times", times, persistent=False)

    def kernels(self) -> Float[Tensor, "filters 1 samples"]:
        """Compute the impulse responses; a cosine is 1 in its middle."""
        low = _LOWEST_HZ + self.low_hz.abs()
        high = (low + _NARROWEST_HZ + self.band_hz.abs()).clamp(_LOWEST_HZ, SAMPLE_RATE / 2)
        left, right = low @ self.times, high @ self.times  # edges times time, in radians
        # The order of operations is the trainer's: the logarithm that follows shows each rounding.
        width = 2 * (high - low)
        cosines = (right.sin() - left.sin()) / (self.times / 2) * self.window / width
        sines = (left.cos() - right.cos()) / (self.times / 2) * self.window / width
        one, zero = torch.ones_like(low), torch.zeros_like(low)
        even = torch.cat([cosines, one, cosines.flip(1)], dim=1)
        odd = torch.cat([sines, zero, -sines.flip(1)], dim=1)
        return torch.cat([even, odd]).unsqueeze(1)

    def forward(
        self, waveforms: Float[Tensor, "batch 1 samples"]
    ) -> Float[Tensor, "batch filters time"]:
        return F.conv1d(waveforms, self.kernels(), stride=self.stride)


def _mel_spaced(low_hz: float, high_hz: float, edges: int) -> Float[Tensor, " edges"]:
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    mels = torch.linspace(low, high, edges, dtype=torch.float64)
    return (700 * (10 ** (mels / 2595) - 1)).float()
