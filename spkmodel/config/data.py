"""Configs of batches and augmentation."""

from typing import Literal

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel

_SPEED_STEP = 0.01


class Batches(FrozenModel):
    """P speakers x K utterances, a random crop of each."""

    speakers: int = Field(default=32, ge=2, le=4096)
    utterances: int = Field(default=2, ge=1, le=64)
    """Of each speaker in a batch."""
    crop_seconds: float = Field(default=1.5, ge=0.2, le=20)
    max_utterances_per_speaker: int | None = Field(default=None, ge=1)
    """Used of a speaker in an epoch, the next ones in the next epoch; None: all of them."""
    level: Literal["stored", "peak"] = "stored"
    """stored: samples as they are, full scale being 1. peak: divided by the largest sample of the
    whole utterance, as the log's networks were trained (`DataPP` counts on it)."""

    @model_validator(mode="after")
    def _a_speaker_may_fill_its_place(self) -> "Batches":
        most = self.max_utterances_per_speaker
        if most is not None and most < self.utterances:
            raise ValueError(
                "batches.max_utterances_per_speaker must be at least batches.utterances="
                f"{self.utterances}, got {most}"
            )
        return self


class Speed(FrozenModel):
    """Speech played faster or slower, its pitch and formants with it (Ko et al. 2015).

    A tone at f comes out at f * rate; an utterance lasts 1 / rate as long.
    """

    rates: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Each as likely as the others; hundredths."""
    new_speakers: bool = True
    """True: a speaker at another rate is another speaker, with a class of its own; the classes of
    rate 1 come first, in the order of the training speakers, then those of the other rates in the
    order of `rates`. False: every crop has a rate of its own and keeps its speaker's label.

    Either way an epoch hears every utterance once, at one rate, so an epoch costs what it costs
    without."""

    @model_validator(mode="after")
    def _rates_are_some(self) -> "Speed":
        hundredths = [round(rate / _SPEED_STEP) for rate in self.rates]
        for rate, hundredth in zip(self.rates, hundredths, strict=True):
            if not 50 <= hundredth <= 200 or abs(rate - hundredth * _SPEED_STEP) > 1e-9:
                raise ValueError(
                    "augment.speed.rates must be hundredths from 0.5 to 2 (resampling takes a "
                    f"ratio of small integers), got {rate}"
                )
        if len(set(hundredths)) < 2 or len(set(hundredths)) < len(hundredths):
            raise ValueError(
                f"augment.speed.rates needs two or more rates, each once, got {self.rates}; "
                "leave augment.speed out (None) for speech as it is"
            )
        if self.new_speakers and 100 not in hundredths:
            raise ValueError(
                "augment.speed.rates must contain 1.0 where speed makes new speakers (the speakers "
                f"themselves would be untrained), got {self.rates}"
            )
        return self

    @property
    def ordered(self) -> tuple[float, ...]:
        """The rates in the order of their classes: 1 first, if it is one of them."""
        return tuple(sorted(self.rates, key=lambda rate: rate != 1.0))

    @property
    def fastest(self) -> float:
        """The largest rate: a crop reads at most so many times its own length."""
        return max(self.rates)


class Babble(FrozenModel):
    """Other speakers of the batch, talking in the background, all equally loud.

    The defaults are voxceleb_trainer's.
    """

    probability: float = Field(default=0.2, gt=0, le=1)
    talkers_low: int = Field(default=3, ge=1, le=64)
    talkers_high: int = Field(default=7, ge=1, le=64)
    snr_db_low: float = Field(default=13.0, ge=-20, le=60)
    snr_db_high: float = Field(default=20.0, ge=-20, le=60)
    """Of the speech over all talkers together, by mean power over the crop."""

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> "Babble":
        for what, low, high in (
            ("talkers", self.talkers_low, self.talkers_high),
            ("snr_db", self.snr_db_low, self.snr_db_high),
        ):
            if low > high:
                raise ValueError(
                    f"augment.babble.{what}_low must not exceed augment.babble.{what}_high, got "
                    f"{low} and {high}"
                )
        return self


class DataPP(FrozenModel):
    """The log's data pre-processing: smoothing, Gaussian noise again and again, a random level.

    Each sigma is |N(0, s)|, drawn again while it exceeds 4 s. Smoothing is by a Gaussian of that
    sigma, cut off at 2 sigma and normalised, the signal mirrored at its ends. The noise is
    relative to full scale, which in the log was the peak of the whole utterance: see
    `Batches.level`. The defaults are entry 125's; `from_entry` has the others.
    """

    smooth_probability: float = Field(default=0.1, ge=0, le=1)
    smooth_samples: float = Field(default=0.75, ge=0, le=8)
    """s of the sigma of the speech's smoothing."""
    noise_probability: float = Field(default=0.7, ge=0, lt=1)
    noise_repeats: bool = True
    """True: noise is added for as long as a draw of `noise_probability` succeeds, p / (1 - p)
    times on average. False: at most once."""
    noise_deviation: float = Field(default=0.025, ge=0, le=1)
    """s of the noise's own standard deviation; full scale is 1."""
    noise_smooth_probability: float = Field(default=0.8, ge=0, le=1)
    noise_smooth_samples: float = Field(default=1.5, ge=0, le=8)
    """s of the sigma of the noise's smoothing."""
    attenuation_db: float = Field(default=40.0, ge=0, le=120)
    """The level falls by a number of decibels uniform from 0 to this: by 10^-U(0, 2)."""

    @classmethod
    def from_entry(cls, entry: Literal[39, 40, 41, 125]) -> "DataPP":
        """Return the pre-processing of an entry of the log.

        Of 39 only the text is left (Gaussian noise, amplitude); its figures are taken to be those
        of 40, with nothing smoothed. 40, 41 and 125 are in the log's code.
        """
        match entry:
            case 39:
                return cls.from_entry(40).model_copy(
                    update={"smooth_probability": 0.0, "noise_smooth_probability": 0.0}
                )
            case 40:
                return cls(
                    smooth_probability=0.5,
                    noise_probability=0.8,
                    noise_repeats=False,
                    noise_smooth_probability=0.7,
                    noise_smooth_samples=1.0,
                )
            case 41:
                return cls(smooth_probability=0.5)
            case 125:
                return cls()
            case _:
                raise ValueError(f"DataPP has the entries 39, 40, 41 and 125, got {entry!r}")


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


class Augment(FrozenModel):
    """What a training crop may go through; each step is drawn anew for every crop.

    Order: speed, gain, filter, room, babble, ambience, DataPP. All off by default.
    """

    speed: Speed | None = None
    gain_db: float = Field(default=0.0, ge=0, le=40)
    """Level changes uniformly within +- this."""
    filter_probability: float = Field(default=0.0, ge=0, le=1)
    filter_db: float = Field(default=8.0, ge=0, le=30)
    """The filter's 8 points between 0 and 8 kHz lie within +- this."""
    room_probability: float = Field(default=0.0, ge=0, le=1)
    babble: Babble | None = None
    noise_probability: float = Field(default=0.0, ge=0, le=1)
    snr_db_low: float = Field(default=5.0, ge=-20, le=60)
    snr_db_high: float = Field(default=20.0, ge=-20, le=60)
    """Of the speech over the ambience, by mean power over the crop; babble is not counted."""
    # Left out of what is written where it is None: configs from before it keep their signatures.
    categories: Categories | None = Field(default=None, exclude_if=lambda value: value is None)
    """With these, the category of a recording decides its level, in place of `snr_db_low` and
    `snr_db_high`. None: all recordings are alike, whatever their folders are called."""
    data_pp: DataPP | None = None

    @model_validator(mode="after")
    def _snr_is_a_range(self) -> "Augment":
        if self.snr_db_low > self.snr_db_high:
            raise ValueError(
                "augment.snr_db_low must not exceed augment.snr_db_high, got "
                f"{self.snr_db_low} and {self.snr_db_high}"
            )
        return self

    def read_seconds(self, crop_seconds: float) -> float:
        """Return the most that is read for a crop: more than the crop at a faster rate."""
        return crop_seconds * (1.0 if self.speed is None else self.speed.fastest)


def check_talkers(place: str, augment: Augment, batches: Batches) -> None:
    """Raise an error for babble of more talkers than a batch has other crops.

    Raises:
        ValueError: naming the field, which is in `place`, and the remedy.
    """
    babble, speed = augment.babble, augment.speed
    if babble is None:
        return
    # With speed as new speakers, a batch may hold one speaker at every rate.
    own = len(speed.rates) if speed is not None and speed.new_speakers else 1
    others = max(0, batches.speakers - own) * batches.utterances
    if babble.talkers_high > others:
        needed = own + -(-babble.talkers_high // batches.utterances)
        advice = f"set batches.speakers to {needed} or more"
        if others >= babble.talkers_low:
            advice = f"set it to {others} or less, or batches.speakers to {needed} or more"
        elif others >= 1:
            advice = f"set it and talkers_low to {others} or less, or {advice[4:]}"
        raise ValueError(
            f"{place}.babble.talkers_high={babble.talkers_high}, but a batch has only {others} "
            f"crops that are surely of other speakers; {advice}"
        )
