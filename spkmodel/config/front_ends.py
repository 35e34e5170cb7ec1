"""Front ends: what an encoder sees of a waveform."""

from typing import Literal

from pydantic import Field, model_validator

from spkmodel.config.part import Part
from spkmodel.config.spec_augment import SpecAugment, require_narrower


class LogMel(Part):
    """Log mel power spectrogram of 16 kHz audio, normalised by utterance or not at all."""

    kind: Literal["log_mel"] = "log_mel"
    mels: int = Field(default=40, ge=8, le=256)
    window: Literal["hamming", "hann"] = "hamming"
    window_ms: float = Field(default=25.0, ge=1, le=100)
    hop_ms: float = Field(default=10.0, ge=1, le=50)
    log_floor: float = Field(default=1e-6, gt=0, lt=1)
    """Added to the mel power before the logarithm."""
    normalisation: Literal["fixed", "level", "mean", "instance"] = "mean"
    """fixed: (x + 3) / 4, the same for every utterance. level: the utterance's mean over bands and
    time is removed. mean: each band's mean over time is removed. instance: each band's mean and
    deviation over time are removed."""
    spec_augment: SpecAugment | None = None

    @model_validator(mode="after")
    def _a_mask_is_no_wider_than_the_frames(self) -> "LogMel":
        require_narrower(self.spec_augment, self.mels)
        return self


class RawWaveform(Part):
    """The waveform itself, as the log's networks take it."""

    kind: Literal["raw_waveform"] = "raw_waveform"
    normalisation: Literal["fixed", "level", "mean", "instance"] = "level"
    """fixed: as it is. level: divided by the crop's peak. mean: its mean removed. instance: its
    mean removed and divided by its deviation."""
