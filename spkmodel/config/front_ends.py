"""Configs of front ends, which turn a waveform into the input of an encoder."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.spec_augment import SpecAugment, require_narrower


class MelSpectrogram(FrozenModel):
    """Mel power of 16 kHz audio: triangular filters on the HTK scale from 0 to 8 kHz."""

    mels: int = Field(default=40, ge=8, le=256)
    window: Literal["hamming", "hann"] = "hamming"
    window_ms: float = Field(default=25.0, ge=1, le=100)
    hop_ms: float = Field(default=10.0, ge=1, le=50)
    pre_emphasis: float = Field(default=0.0, ge=0, lt=1)
    """c in x[t] - c x[t-1], taken of the waveform first; the first sample, which has none before
    it, loses c x[1]. 0: none."""
    spec_augment: SpecAugment | None = None

    @model_validator(mode="after")
    def _a_mask_is_no_wider_than_the_frames(self) -> "MelSpectrogram":
        require_narrower(self.spec_augment, self.mels)
        return self


class LogMel(MelSpectrogram):
    """Log mel power, normalised by utterance or not at all."""

    kind: Literal["log_mel"] = "log_mel"
    log_floor: float = Field(default=1e-6, gt=0, lt=1)
    """Added to the mel power before the logarithm."""
    normalisation: Literal["fixed", "level", "mean", "instance"] = "mean"
    """fixed: (x + 3) / 4, the same for every utterance. level: the utterance's mean over bands and
    time is removed. mean: each band's mean over time is removed. instance: each band's mean and
    deviation over time are removed."""


class LinearMel(MelSpectrogram):
    """Mel power without a logarithm: what voxceleb_trainer's `log_input: False` trains on."""

    kind: Literal["linear_mel"] = "linear_mel"
    floor: float = Field(default=1e-6, ge=0, lt=1)
    """Added to the mel power."""
    normalisation: Literal["none", "mean", "instance"] = "instance"
    """none: as it is. mean: each band's mean over time is removed. instance: each band's mean and
    deviation over time are removed, 1e-5 being added to the variance, which in a quiet recording
    is more than the variance itself."""


Mel = Annotated[LogMel | LinearMel, Field(discriminator="kind")]


class RawWaveform(FrozenModel):
    """The waveform itself, as the log's networks take it."""

    kind: Literal["raw_waveform"] = "raw_waveform"
    normalisation: Literal["fixed", "level", "peak", "mean", "instance"] = "level"
    """fixed: as it is. level: divided by the crop's peak. peak: as the log's networks were fed; in
    training as it is, since `batches.level="peak"` has divided by the utterance's peak before
    `DataPP` lowered the level, and divided by the peak of what is heard otherwise. mean: its mean
    removed. instance: its mean removed and divided by its deviation."""
