"""From waveform to what an encoder sees: log-mel frames, or the waveform itself, normalised.

Nothing here is learned, so nothing here keeps a gradient, and all of it stays in float32.
"""

import math
from typing import Literal, assert_never

import torch
import torchaudio
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.config import LogMel, RawWaveform

SAMPLE_RATE = 16_000

Normalisation = Literal["fixed", "level", "mean", "instance"]

_SMALLEST_FFT = 512
_VARIANCE_FLOOR = 1e-5
_SILENCE = 1e-5  # a third of one step of 16-bit audio


def build(config: LogMel | RawWaveform) -> nn.Module:
    """The front end: (batch, samples) to (batch, mels, time), or to (batch, 1, samples)."""
    match config:
        case LogMel():
            return LogMelFrames(
                mels=config.mels,
                window=config.window,
                window_samples=_samples(config.window_ms),
                hop_samples=_samples(config.hop_ms),
                log_floor=config.log_floor,
                normalisation=config.normalisation,
            )
        case RawWaveform():
            return WaveformChannel(config.normalisation)
        case _:
            assert_never(config)


def fft_samples(mels: int, window_samples: int) -> int:
    """The smallest power of two, from 512, that holds the window and leaves no mel band empty."""
    top_mel = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    narrowest_band_hz = 700 * (10 ** (2 * top_mel / (mels + 1) / 2595) - 1)
    samples = _SMALLEST_FFT
    while samples < window_samples or SAMPLE_RATE / samples >= narrowest_band_hz:
        samples *= 2
    return samples


class LogMelFrames(nn.Module):
    """Log-mel frames; centred, so a waveform gives `samples // hop_samples + 1` of them."""

    def __init__(
        self,
        mels: int,
        window: Literal["hamming", "hann"],
        window_samples: int,
        hop_samples: int,
        log_floor: float,
        normalisation: Normalisation,
    ) -> None:
        super().__init__()
        self.log_floor = log_floor
        self.normalisation = normalisation
        n_fft = fft_samples(mels, window_samples)
        # torchaudio looks at the values of its filterbank, which a meta tensor has not got; an
        # encoder built on the meta device, to be counted, keeps its front end in real memory.
        with torch.device("cpu"):
            self.spectrogram = torchaudio.transforms.Spectrogram(
                n_fft=n_fft,
                win_length=window_samples,
                hop_length=hop_samples,
                window_fn=torch.hamming_window if window == "hamming" else torch.hann_window,
                power=None,
            )
            self.mel_scale = torchaudio.transforms.MelScale(
                n_mels=mels, sample_rate=SAMPLE_RATE, n_stft=n_fft // 2 + 1
            )

    def power(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch mels time"]:
        """Mel power, before floor, logarithm and normalisation."""
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            spectrum = self.spectrogram(waveforms.float())
            # Spectrogram(power=2) would take the root and square it again.
            return self.mel_scale(spectrum.real.square() + spectrum.imag.square())

    def forward(
        self, waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch mels time"]:
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            return normalise(self.power(waveforms).add(self.log_floor).log(), self.normalisation)


def normalise(
    frames: Float[Tensor, "batch mels time"], normalisation: Normalisation
) -> Float[Tensor, "batch mels time"]:
    """What of the level and the channel is taken out of log-mel frames; see `config.LogMel`."""
    match normalisation:
        case "fixed":
            return (frames + 3) / 4
        case "level":
            return frames - frames.mean(dim=(1, 2), keepdim=True)
        case "mean":
            return frames - frames.mean(dim=2, keepdim=True)
        case "instance":
            return _standardised(frames)
        case _:
            assert_never(normalisation)


class WaveformChannel(nn.Module):
    """The waveform as one channel, its level normalised; see `config.RawWaveform`."""

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.normalisation = normalisation

    def forward(
        self, waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch 1 samples"]:
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            return normalise_waveforms(waveforms.float(), self.normalisation).unsqueeze(1)


def normalise_waveforms(
    waveforms: Float[Tensor, "batch samples"], normalisation: Normalisation
) -> Float[Tensor, "batch samples"]:
    """What of the level is taken out of a waveform; silence stays silence."""
    match normalisation:
        case "fixed":
            return waveforms
        case "level":
            peak = waveforms.abs().amax(dim=1, keepdim=True)
            return waveforms / peak.clamp(min=_SILENCE)
        case "mean":
            return waveforms - waveforms.mean(dim=1, keepdim=True)
        case "instance":
            centred = waveforms - waveforms.mean(dim=1, keepdim=True)
            return centred / centred.square().mean(dim=1, keepdim=True).sqrt().clamp(min=_SILENCE)
        case _:
            assert_never(normalisation)


def _standardised(frames: Float[Tensor, "batch mels time"]) -> Float[Tensor, "batch mels time"]:
    variance, mean = torch.var_mean(frames, dim=2, correction=0, keepdim=True)
    return (frames - mean) / (variance + _VARIANCE_FLOOR).sqrt()


def _samples(milliseconds: float) -> int:
    return round(milliseconds * SAMPLE_RATE / 1000)
