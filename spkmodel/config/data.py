"""Batches and augmentation: what training hears."""

from pydantic import Field, model_validator

from spkmodel.config.part import Part


class Batches(Part):
    """P speakers x K utterances, a random crop of each."""

    speakers: int = Field(default=32, ge=2, le=4096)
    utterances: int = Field(default=2, ge=1, le=64)
    """Of each speaker in a batch."""
    crop_seconds: float = Field(default=1.5, ge=0.2, le=20)


class Augment(Part):
    """What a training crop may go through; each step is drawn anew for every crop.

    Order: gain, filter, room, ambience. All off by default.
    """

    gain_db: float = Field(default=0.0, ge=0, le=40)
    """Level changes uniformly within +- this."""
    filter_probability: float = Field(default=0.0, ge=0, le=1)
    filter_db: float = Field(default=8.0, ge=0, le=30)
    """The filter's 8 points between 0 and 8 kHz lie within +- this."""
    room_probability: float = Field(default=0.0, ge=0, le=1)
    noise_probability: float = Field(default=0.0, ge=0, le=1)
    snr_db_low: float = Field(default=5.0, ge=-20, le=60)
    snr_db_high: float = Field(default=20.0, ge=-20, le=60)

    @model_validator(mode="after")
    def _snr_is_a_range(self) -> "Augment":
        if self.snr_db_low > self.snr_db_high:
            raise ValueError(
                "augment.snr_db_low must not exceed augment.snr_db_high, got "
                f"{self.snr_db_low} and {self.snr_db_high}"
            )
        return self
