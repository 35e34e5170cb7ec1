"""Apply the log's pre-processing: smoothing, noise, a random level; see `config.DataPP`."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from spkmodel.config import DataPP

_LARGEST_OF_S = 4.0
"""A sigma beyond so many times its own scale is drawn again."""

_CUT_SIGMAS = 2.0


def pre_process(
    waveforms: Float[Tensor, "batch samples"], config: DataPP, generator: torch.Generator
) -> Float[Tensor, "batch samples"]:
    """Draw anew for every waveform, and leave what goes in as it is."""
    batch, device = len(waveforms), waveforms.device
    sigmas = _sometimes(batch, config.smooth_probability, config.smooth_samples, generator)
    processed = smooth(waveforms, sigmas)
    noise = _noises(waveforms.shape, config, generator, device)
    if noise is not None:
        processed = processed + noise
    fall_db = config.attenuation_db * torch.rand(batch, generator=generator)
    return processed * (10 ** (-fall_db / 20)).to(device).unsqueeze(1)


def _noises(
    shape: torch.Size, config: DataPP, generator: torch.Generator, device: torch.device
) -> Tensor | None:
    """Return the sum of every waveform's noises; None if no waveform has any."""
    batch, samples = shape
    total: Tensor | None = None
    rows = torch.arange(batch)
    while True:
        rows = rows[torch.rand(len(rows), generator=generator) < config.noise_probability]
        if not len(rows):
            return total
        deviations = draw_sigmas(len(rows), config.noise_deviation, generator)
        sigmas = _sometimes(
            len(rows), config.noise_smooth_probability, config.noise_smooth_samples, generator
        )
        noise = torch.randn(len(rows), samples, generator=generator).to(device)
        noise *= deviations.to(device).unsqueeze(1)
        if total is None:
            total = torch.zeros(batch, samples, device=device)
        total.index_add_(0, rows.to(device), smooth(noise, sigmas))
        if not config.noise_repeats:
            return total


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
    radii = _radii(sigmas)
    rows = (radii > 0).nonzero().squeeze(1)
    if not len(rows):
        return waveforms
    place = rows.to(waveforms.device)
    smoothed = _convolved(waveforms[place], gaussians(sigmas[rows]).to(waveforms.device))
    return waveforms.index_copy(0, place, smoothed)


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
