"""Turn waveforms into an encoder's input: mel frames, or the waveform itself, normalised.

Nothing here is learned, so nothing here keeps a gradient, and all of it stays in float32.
"""

import math
from typing import Literal, assert_never

import torch
import torch.nn.functional as F
import torchaudio
from jaxtyping import Float
from torch import Tensor, nn

from spkmodel.augment.spec_augment import FrameMasks
from spkmodel.config import LinearMel, LogMel, Mel, RawWaveform

SAMPLE_RATE = 16_000

Normalisation = Literal["none", "fixed", "level", "mean", "instance"]
WaveformNormalisation = Literal["fixed", "level", "mean", "instance"]

_SMALLEST_FFT = 512
_VARIANCE_FLOOR = 1e-5
_SILENCE = 1e-5  # a third of one step of 16-bit audio


def build(config: Mel | RawWaveform) -> nn.Module:
    """Build the front end: (batch, samples) to (batch, mels, time), or to (batch, 1, samples)."""
    match config:
        case LogMel():
            return _mel_frames(config, floor=config.log_floor, logarithm=True)
        case LinearMel():
            return _mel_frames(config, floor=config.floor, logarithm=False)
        case RawWaveform():
            return WaveformChannel(config.normalisation)
        case _:
            assert_never(config)


def _mel_frames(config: LogMel | LinearMel, floor: float, logarithm: bool) -> "MelFrames":
    return MelFrames(
        mels=config.mels,
        window=config.window,
        window_samples=_samples(config.window_ms),
        hop_samples=_samples(config.hop_ms),
        pre_emphasis=config.pre_emphasis,
        floor=floor,
        logarithm=logarithm,
        normalisation=config.normalisation,
        masks=FrameMasks(config.spec_augment) if config.spec_augment else nn.Identity(),
    )


def pre_emphasise(
    waveforms: Float[Tensor, "batch samples"], coefficient: float
) -> Float[Tensor, "batch samples"]:
    """Return x[t] - c x[t-1]; the sample before the first is the second, as if reflected."""
    if coefficient == 0:
        return waveforms
    before = torch.cat([waveforms[:, 1:2], waveforms[:, :-1]], dim=1)
    return waveforms - coefficient * before


def fft_samples(mels: int, window_samples: int) -> int:
    """Return the smallest power of two from 512 that holds the window and leaves no band empty."""
    top_mel = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    narrowest_band_hz = 700 * (10 ** (2 * top_mel / (mels + 1) / 2595) - 1)
    # A band narrower than the distance of two bins may contain none, and have no power ever.
    samples = _SMALLEST_FFT
    while samples < window_samples or SAMPLE_RATE / samples >= narrowest_band_hz:
        samples *= 2
    return samples


class MelFrames(nn.Module):
    """Mel frames; centred, so a waveform gives `samples // hop_samples + 1` of them."""

    def __init__(
        self,
        mels: int,
        window: Literal["hamming", "hann"],
        window_samples: int,
        hop_samples: int,
        pre_emphasis: float,
        floor: float,
        logarithm: bool,
        normalisation: Normalisation,
        masks: nn.Module,
    ) -> None:
        super().__init__()
        self.pre_emphasis = pre_emphasis
        self.floor = floor
        self.logarithm = logarithm
        self.masks = masks
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
        """Compute the mel power, before floor, logarithm and normalisation."""
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            spectrum = self.spectrogram(pre_emphasise(waveforms.float(), self.pre_emphasis))
            # Spectrogram(power=2) would take the root and square it again.
            return self.mel_scale(spectrum.real.square() + spectrum.imag.square())

    def forward(
        self, waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch mels time"]:
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            frames = self.power(waveforms).add(self.floor)
            frames = frames.log() if self.logarithm else frames
            masked: Tensor = self.masks(normalise(frames, self.normalisation))
            return masked


def normalise(
    frames: Float[Tensor, "batch mels time"], normalisation: Normalisation
) -> Float[Tensor, "batch mels time"]:
    """Remove level and channel from mel frames; see `config.LogMel`."""
    match normalisation:
        case "none":
            return frames
        case "fixed":
            return (frames + 3) / 4
        case "level":
            return frames - frames.mean(dim=(1, 2), keepdim=True)
        case "mean":
            return frames - frames.mean(dim=2, keepdim=True)
        case "instance":
            return F.instance_norm(frames, eps=_VARIANCE_FLOOR)
        case _:
            assert_never(normalisation)


class WaveformChannel(nn.Module):
    """The waveform as one channel, its level normalised; see `config.RawWaveform`."""

    def __init__(self, normalisation: WaveformNormalisation | Literal["peak"]) -> None:
        super().__init__()
        self.normalisation = normalisation

    def forward(
        self, waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch 1 samples"]:
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            return normalise_waveforms(waveforms.float(), self._now()).unsqueeze(1)

    def _now(self) -> WaveformNormalisation:
        if self.normalisation != "peak":
            return self.normalisation
        # In training, a random level is part of the augmentation; in evaluation it is noise.
        return "fixed" if self.training else "level"


def normalise_waveforms(
    waveforms: Float[Tensor, "batch samples"], normalisation: WaveformNormalisation
) -> Float[Tensor, "batch samples"]:
    """Remove the level from waveforms; silence stays silence."""
    match normalisation:
        case "fixed":
            return waveforms
        case "level":
            # The floor keeps digital silence from becoming amplified rounding noise.
            peak = waveforms.abs().amax(dim=1, keepdim=True)
            return waveforms / peak.clamp(min=_SILENCE)
        case "mean":
            return waveforms - waveforms.mean(dim=1, keepdim=True)
        case "instance":
            centred = waveforms - waveforms.mean(dim=1, keepdim=True)
            return centred / centred.square().mean(dim=1, keepdim=True).sqrt().clamp(min=_SILENCE)
        case _:
            assert_never(normalisation)


def _samples(milliseconds: float) -> int:
    return round(milliseconds * SAMPLE_RATE / 1000)
