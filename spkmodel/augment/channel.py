"""Simulate a smooth filter and a room between mouth and recorder, by Fourier transform."""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from spkmodel.core.device_copy import copy_to_device

FILTER_POINTS = 8
"""Evenly from 0 to 8 kHz; gain in dB is linear between them."""

LONGEST_FILTER_SAMPLES = 1024
"""What a smooth filter rings, both sides together; its rest is below -60 dB."""


def draw_filter(
    count: int, filter_db: float, generator: torch.Generator
) -> Float[Tensor, "count points"]:
    """Draw gains in dB at the filter's points, uniform within +- `filter_db`."""
    return (2 * torch.rand(count, FILTER_POINTS, generator=generator) - 1) * filter_db


def smooth_filter(
    waveforms: Float[Tensor, "batch samples"], points_db: Float[Tensor, "batch points"]
) -> Float[Tensor, "batch samples"]:
    """Filter without phase shift, each waveform by its own points."""
    samples = waveforms.shape[1]
    size = fast_size(samples + LONGEST_FILTER_SAMPLES)
    spectra = torch.fft.rfft(waveforms, size) * filter_response(points_db, size)
    return torch.fft.irfft(spectra, size)[:, :samples]


def reverberate(
    waveforms: Float[Tensor, "batch samples"], rooms: Sequence[Float[Tensor, " _taps"]]
) -> Float[Tensor, "batch samples"]:
    """Convolve each waveform with its room, cut to its own length."""
    samples = waveforms.shape[1]
    size = fast_size(samples + min(max(len(room) for room in rooms), samples))
    spectra = torch.fft.rfft(waveforms, size) * room_spectra(rooms, samples, size)
    return torch.fft.irfft(spectra, size)[:, :samples]


def room_spectra(
    rooms: Sequence[Float[Tensor, " _taps"]], samples: int, size: int
) -> Complex[Tensor, "rooms bins"]:
    """Transform each room's first `samples` taps, at length `size`."""
    return torch.stack([torch.fft.rfft(room[:samples], size) for room in rooms])


def filter_response(
    points_db: Float[Tensor, "batch points"], size: int
) -> Float[Tensor, "batch bins"]:
    """Return a smooth filter's gain at every bin of a transform of `size`."""
    # exp is several times faster than 10 ** x here.
    return torch.exp(points_db @ _interpolation(size, points_db.device) * _NEPERS_PER_DB)


_NEPERS_PER_DB = math.log(10) / 20


@lru_cache(maxsize=8)
def _interpolation(size: int, device: torch.device) -> Tensor:
    """Return the matrix from the filter's points to its gains in dB at every bin of a transform."""
    places = torch.linspace(0, FILTER_POINTS - 1, size // 2 + 1)
    distance = (places.unsqueeze(0) - torch.arange(FILTER_POINTS).unsqueeze(1)).abs()
    return copy_to_device((1 - distance).clamp(min=0), device)


@lru_cache(maxsize=64)
def fast_size(samples: int) -> int:
    """Return the next length whose Fourier transform is fast: an even product of 2s, 3s and 5s."""
    size = samples + samples % 2
    while not _is_smooth(size):
        size += 2
    return size


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1
