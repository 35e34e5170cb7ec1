"""Config of the field's noise sets: a level for each category of MUSAN and RIRS_NOISES."""

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel


class Categories(FrozenModel):
    """Noise, music and speech behind a crop, each at levels of its own; rooms by their kind.

    A crop that gets an ambience (`Augment.noise_probability`) draws a category first, each that
    the folder has as likely as the others, then a file of it; so does one that gets a room. Speech
    is babble: several files at once, brought to the same mean power. Recordings without a category
    count as noise. The defaults are the field's (Snyder et al. 2018; voxceleb_trainer).
    """

    noise_snr_db_low: float = Field(default=0.0, ge=-20, le=60)
    noise_snr_db_high: float = Field(default=15.0, ge=-20, le=60)
    music_snr_db_low: float = Field(default=5.0, ge=-20, le=60)
    music_snr_db_high: float = Field(default=15.0, ge=-20, le=60)
    speech_snr_db_low: float = Field(default=13.0, ge=-20, le=60)
    speech_snr_db_high: float = Field(default=20.0, ge=-20, le=60)
    """Of the crop over all talkers together."""
    talkers_low: int = Field(default=3, ge=1, le=16)
    talkers_high: int = Field(default=7, ge=1, le=16)

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> "Categories":
        for what in ("noise_snr_db", "music_snr_db", "speech_snr_db", "talkers"):
            low, high = getattr(self, f"{what}_low"), getattr(self, f"{what}_high")
            if low > high:
                raise ValueError(
                    f"augment.categories.{what}_low must not exceed "
                    f"augment.categories.{what}_high, got {low} and {high}"
                )
        return self

    def snr_db_range(self, category: str) -> tuple[float, float]:
        """Return the lowest and the highest level of the speech over a category, in decibels."""
        match category:
            case "noise":
                return self.noise_snr_db_low, self.noise_snr_db_high
            case "music":
                return self.music_snr_db_low, self.music_snr_db_high
            case "speech":
                return self.speech_snr_db_low, self.speech_snr_db_high
            case _:
                raise ValueError(f"categories are noise, music and speech, got {category!r}")
