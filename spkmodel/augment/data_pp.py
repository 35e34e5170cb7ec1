"""Apply the log's pre-processing: smoothing, noise, a random level; see `config.DataPP`."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from spkmodel.config import DataPP
from spkmodel.core.device_copy import copy_to_device

_LARGEST_OF_S = 4.0
"""A sigma beyond so many times its own scale is drawn again."""

_CUT_SIGMAS = 2.0


@dataclass(frozen=True, slots=True)
class Smoothing:
    """The rows of a batch that are smoothed, and the right half of each one's kernel."""

    rows: Int[Tensor, " rows"]
    halves: Float[Tensor, "rows taps"]

    @classmethod
    def from_sigmas(cls, sigmas: Float[Tensor, " batch"]) -> "Smoothing":
        """Return the smoothing by Gaussians of these deviations, in samples, on the CPU."""
        rows = (_radii(sigmas) > 0).nonzero().squeeze(1)
        return cls(rows, gaussians(sigmas[rows]) if len(rows) else torch.ones(0, 1))


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise that some rows of a batch get, each smoothed by a sigma of its own."""

    rows: Int[Tensor, " rows"]
    sound: Float[Tensor, "rows samples"]
    """Of deviation 1."""
    deviations: Float[Tensor, " rows"]
    smoothing: Smoothing


@dataclass(frozen=True, slots=True)
class PreProcessingDraws:
    """What is drawn for one batch, on the CPU."""

    smoothing: Smoothing
    noises: tuple[Noise, ...]
    fall_db: Float[Tensor, " batch"]


def pre_process(
    waveforms: Float[Tensor, "batch samples"], config: DataPP, generator: torch.Generator
) -> Float[Tensor, "batch samples"]:
    """Draw anew for every waveform, and leave what goes in as it is."""
    batch, samples = waveforms.shape
    return apply(waveforms, draw(batch, samples, config, generator))


def draw(
    batch: int, samples: int, config: DataPP, generator: torch.Generator
) -> PreProcessingDraws:
    """Draw the smoothing, the noises and the level of each waveform."""
    sigmas = _sometimes(batch, config.smooth_probability, config.smooth_samples, generator)
    noises = tuple(_draw_noises(batch, samples, config, generator))
    fall_db = config.attenuation_db * torch.rand(batch, generator=generator)
    return PreProcessingDraws(Smoothing.from_sigmas(sigmas), noises, fall_db)


def apply(
    waveforms: Float[Tensor, "batch samples"], draws: PreProcessingDraws
) -> Float[Tensor, "batch samples"]:
    """Return the waveforms after what was drawn for them; the input stays as it is."""
    device = waveforms.device
    processed = _smoothed(waveforms, draws.smoothing)
    if draws.noises:
        total = torch.zeros_like(waveforms)
        for noise in draws.noises:
            sound = copy_to_device(noise.sound, device)
            # Not in place: on the CPU the copy is the drawn tensor itself.
            sound = sound * copy_to_device(noise.deviations, device).unsqueeze(1)
            total.index_add_(
                0, copy_to_device(noise.rows, device), _smoothed(sound, noise.smoothing)
            )
        processed = processed + total
    level = copy_to_device(10 ** (-draws.fall_db / 20), device)
    return processed * level.unsqueeze(1)


def _draw_noises(
    batch: int, samples: int, config: DataPP, generator: torch.Generator
) -> Iterator[Noise]:
    rows = torch.arange(batch)
    while True:
        rows = rows[torch.rand(len(rows), generator=generator) < config.noise_probability]
        if not len(rows):
            return
        deviations = draw_sigmas(len(rows), config.noise_deviation, generator)
        sigmas = _sometimes(
            len(rows), config.noise_smooth_probability, config.noise_smooth_samples, generator
        )
        sound = torch.randn(len(rows), samples, generator=generator)
        yield Noise(rows, sound, deviations, Smoothing.from_sigmas(sigmas))
        if not config.noise_repeats:
            return


def draw_sigmas(count: int, scale: float, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Draw from a half-normal distribution truncated at 4 times its scale."""
    sigmas = torch.randn(count, generator=generator).abs()
    while bool((far := sigmas > _LARGEST_OF_S).any()):
        sigmas[far] = torch.randn(int(far.sum()), generator=generator).abs()
    return sigmas * scale


def _sometimes(
    count: int, probability: float, scale: float, generator: torch.Generator
) -> Float[Tensor, " count"]:
    """Draw a sigma with a probability, else 0."""
    wanted = torch.rand(count, generator=generator) < probability
    return torch.where(wanted, draw_sigmas(count, scale, generator), 0.0)


def smooth(
    waveforms: Float[Tensor, "batch samples"], sigmas: Float[Tensor, " batch"]
) -> Float[Tensor, "batch samples"]:
    """Convolve each waveform with a Gaussian of its own sigma in samples, on the CPU.

    The Gaussian is cut off at 2 sigma, rounded to whole samples (below a quarter of a sample it is
    a single tap, and nothing changes) and sums to 1. Beyond its ends a waveform is mirrored, its
    end samples doubled.
    """
    return _smoothed(waveforms, Smoothing.from_sigmas(sigmas))


def _smoothed(waveforms: Tensor, smoothing: Smoothing) -> Tensor:
    if not len(smoothing.rows):
        return waveforms
    place = copy_to_device(smoothing.rows, waveforms.device)
    halves = copy_to_device(smoothing.halves, waveforms.device)
    return waveforms.index_copy(0, place, _convolved(waveforms[place], halves))


def _radii(sigmas: Tensor) -> Tensor:
    return (_CUT_SIGMAS * sigmas + 0.5).long()


def gaussians(sigmas: Float[Tensor, " batch"]) -> Float[Tensor, "batch taps"]:
    """Return the right halves of the kernels, from the middle on; all as long as the longest."""
    radii = _radii(sigmas)
    places = torch.arange(int(radii.max()) + 1)
    halves = torch.exp(-0.5 * (places / sigmas.unsqueeze(1).clamp(min=1e-6)).square())
    halves = torch.where(places <= radii.unsqueeze(1), halves, 0.0)
    return halves / (2 * halves.sum(dim=1, keepdim=True) - halves[:, :1])


def _convolved(waveforms: Tensor, halves: Tensor) -> Tensor:
    """Convolve each waveform with its own symmetric kernel, as one convolution with groups."""
    radius, samples = halves.shape[1] - 1, waveforms.shape[1]
    # By hand, since torch's padding mode "reflect" does not double the end samples.
    ends = (waveforms[:, :radius].flip(1), waveforms[:, samples - radius :].flip(1))
    padded = torch.cat([ends[0], waveforms, ends[1]], dim=1)
    kernels = torch.cat([halves[:, 1:].flip(1), halves], dim=1)
    return F.conv1d(padded.unsqueeze(0), kernels.unsqueeze(1), groups=len(kernels)).squeeze(0)
