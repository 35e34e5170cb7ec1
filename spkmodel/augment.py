"""What training crops go through: level, a channel's filter, a room, an ambience."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from spkmodel.config import Augment
from spkmodel.surroundings import Surroundings

FILTER_POINTS = 8
"""Evenly from 0 to 8 kHz; gain in dB is linear between them."""

_LONGEST_FILTER_SAMPLES = 1024
"""What a smooth filter rings, both sides together; its rest is below -60 dB."""

_SILENCE = 1e-10
"""Mean power under which there is nothing to set a level against."""


class Augmenter:
    """Draws anew for every crop; the same generator state gives the same crops."""

    def __init__(self, config: Augment, surroundings: Surroundings) -> None:
        self._config = config
        self._rooms = [torch.from_numpy(room) for room in surroundings.rooms]
        self._ambiences = [torch.from_numpy(sound) for sound in surroundings.ambiences]
        self._room_spectra: tuple[int, Tensor] | None = None
        if config.room_probability > 0 and not self._rooms:
            raise ValueError("augment.room_probability is above 0, but there are no rooms")
        if config.noise_probability > 0 and not self._ambiences:
            raise ValueError("augment.noise_probability is above 0, but there are no ambiences")

    def __call__(
        self, waveforms: Float[Tensor, "batch samples"], generator: torch.Generator
    ) -> Float[Tensor, "batch samples"]:
        config = self._config
        if config.gain_db > 0:
            gain_db = _uniform(len(waveforms), generator) * 2 * config.gain_db - config.gain_db
            waveforms = gain(waveforms, gain_db)
        if config.filter_probability > 0 or config.room_probability > 0:
            waveforms = self._filter_and_reverberate(waveforms, generator)
        if config.noise_probability > 0:
            waveforms = self._add_ambiences(waveforms, generator)
        return waveforms

    def _filter_and_reverberate(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        config, batch = self._config, len(waveforms)
        filtered = _uniform(batch, generator) < config.filter_probability
        points_db = draw_filter(batch, config.filter_db, generator) * filtered.unsqueeze(1)
        in_room = _uniform(batch, generator) < config.room_probability
        which = torch.randint(max(1, len(self._rooms)), (batch,), generator=generator)
        touched = (filtered | in_room).nonzero().squeeze(1)
        if not len(touched):
            return waveforms
        samples = waveforms.shape[1]
        longest = max((len(room) for room in self._rooms), default=1)
        size = fast_size(samples + min(longest, samples) + _LONGEST_FILTER_SAMPLES)
        spectra = torch.fft.rfft(waveforms[touched], size)
        spectra *= _filter_response(points_db[touched], size)
        rooms = in_room[touched].nonzero().squeeze(1)
        if len(rooms):
            spectra[rooms] *= self._spectra_of_rooms(samples, size)[which[touched][rooms]]
        result = waveforms.clone()
        result[touched] = torch.fft.irfft(spectra, size)[:, :samples]
        return result

    def _spectra_of_rooms(self, samples: int, size: int) -> Tensor:
        """Of every room, kept until crops of another length come."""
        if self._room_spectra is None or self._room_spectra[0] != size:
            spectra = [torch.fft.rfft(room[:samples], size) for room in self._rooms]
            self._room_spectra = (size, torch.stack(spectra))
        return self._room_spectra[1]

    def _add_ambiences(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        config, batch = self._config, len(waveforms)
        noisy = _uniform(batch, generator) < config.noise_probability
        snr_db = config.snr_db_low + _uniform(batch, generator) * (
            config.snr_db_high - config.snr_db_low
        )
        which = torch.randint(max(1, len(self._ambiences)), (batch,), generator=generator)
        offsets = _uniform(batch, generator)
        rows = noisy.nonzero().squeeze(1)
        if not len(rows):
            return waveforms
        excerpts = torch.stack(
            [
                excerpt(self._ambiences[which[row]], float(offsets[row]), waveforms.shape[1])
                for row in rows.tolist()
            ]
        )
        result = waveforms.clone()
        result[rows] = add_ambience(waveforms[rows], excerpts, snr_db[rows])
        return result


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def gain(
    waveforms: Float[Tensor, "batch samples"], gain_db: Float[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Change the level."""
    return waveforms * 10 ** (gain_db.unsqueeze(1) / 20)


def draw_filter(
    count: int, filter_db: float, generator: torch.Generator
) -> Float[Tensor, "count points"]:
    """Gains in dB at the filter's points, uniform within +- `filter_db`."""
    return (2 * torch.rand(count, FILTER_POINTS, generator=generator) - 1) * filter_db


def smooth_filter(
    waveforms: Float[Tensor, "batch samples"], points_db: Float[Tensor, "batch points"]
) -> Float[Tensor, "batch samples"]:
    """Filter without phase shift, each waveform by its own points."""
    samples = waveforms.shape[1]
    size = fast_size(samples + _LONGEST_FILTER_SAMPLES)
    spectra = torch.fft.rfft(waveforms, size) * _filter_response(points_db, size)
    return torch.fft.irfft(spectra, size)[:, :samples]


def reverberate(
    waveforms: Float[Tensor, "batch samples"], rooms: Sequence[Float[Tensor, " _taps"]]
) -> Float[Tensor, "batch samples"]:
    """Convolve each waveform with its room, cut to its own length."""
    samples = waveforms.shape[1]
    size = fast_size(samples + min(max(len(room) for room in rooms), samples))
    spectra = torch.stack([torch.fft.rfft(room[:samples], size) for room in rooms])
    return torch.fft.irfft(torch.fft.rfft(waveforms, size) * spectra, size)[:, :samples]


def excerpt(
    ambience: Float[Tensor, " length"], offset: float, samples: int
) -> Float[Tensor, " samples"]:
    """A stretch from `offset`, a fraction of the length, on; an ambience that ends begins again."""
    start = int(offset * len(ambience))
    if start + samples <= len(ambience):
        return ambience[start : start + samples]
    repeats = -(-(start + samples) // len(ambience))
    return ambience.repeat(repeats)[start : start + samples]


def add_ambience(
    waveforms: Float[Tensor, "batch samples"],
    ambience: Float[Tensor, "batch samples"],
    snr_db: Float[Tensor, " batch"],
) -> Float[Tensor, "batch samples"]:
    """Add so that mean speech power lies `snr_db` over mean ambience power.

    Where one of them is digital silence, the waveform stays as it is.
    """
    speech_power = waveforms.square().mean(dim=1)
    ambience_power = ambience.square().mean(dim=1)
    audible = (speech_power > _SILENCE) & (ambience_power > _SILENCE)
    wanted = speech_power / ambience_power.clamp(min=_SILENCE) * 10 ** (-snr_db / 10)
    return waveforms + torch.where(audible, wanted.sqrt(), 0.0).unsqueeze(1) * ambience


@lru_cache(maxsize=64)
def fast_size(samples: int) -> int:
    """The next length whose Fourier transform is fast: an even product of 2s, 3s and 5s."""
    size = samples + samples % 2
    while not _is_smooth(size):
        size += 2
    return size


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1


@lru_cache(maxsize=8)
def _interpolation(size: int) -> Tensor:
    """The matrix from the filter's points to its gains in dB at every bin of a transform."""
    places = torch.linspace(0, FILTER_POINTS - 1, size // 2 + 1)
    distance = (places.unsqueeze(0) - torch.arange(FILTER_POINTS).unsqueeze(1)).abs()
    return (1 - distance).clamp(min=0)


def _filter_response(points_db: Tensor, size: int) -> Tensor:
    # exp is several times faster than 10 ** x here.
    return torch.exp(points_db @ _interpolation(size) * (2.302585092994046 / 20))
