"""Config of SpecAugment: masks on the frames that an encoder trains on."""

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel


class SpecAugment(FrozenModel):
    """Bands and stretches of frames masked in training (Park et al. 2019, arXiv:1904.08779).

    Without time warping. What is masked takes the utterance's mean over bands and time. The
    defaults are WeSpeaker's.
    """

    probability: float = Field(default=0.6, gt=0, le=1)
    """Of an utterance to be masked at all."""
    frequency_masks: int = Field(default=1, ge=0, le=10)
    frequency_width_mels: int = Field(default=8, ge=0, le=256)
    """The paper's F: the width of a mask is uniform from 0 to this."""
    time_masks: int = Field(default=1, ge=0, le=10)
    time_width_frames: int = Field(default=10, ge=0, le=1000)
    """The paper's T; a mask is at most as long as the crop."""

    @model_validator(mode="after")
    def _masks_something(self) -> "SpecAugment":
        of_bands = self.frequency_masks * self.frequency_width_mels
        if of_bands + self.time_masks * self.time_width_frames == 0:
            raise ValueError(
                "features.spec_augment masks nothing: set frequency_masks and "
                "frequency_width_mels, or time_masks and time_width_frames, above 0, or leave it "
                "out (None)"
            )
        return self


def require_narrower(masks: SpecAugment | None, mels: int) -> None:
    """Raise an error for masks as wide as all bands of their front end.

    Raises:
        ValueError: naming the field and the remedy.
    """
    if masks is not None and masks.frequency_width_mels >= mels:
        raise ValueError(
            "features.spec_augment.frequency_width_mels must be less than features.mels="
            f"{mels}, got {masks.frequency_width_mels}"
        )
