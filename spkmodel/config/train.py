"""The config of one training."""

import hashlib
import json
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from spkmodel.config.corpus_rules import check_crop, check_filled
from spkmodel.config.data import Augment, Batches, check_talkers
from spkmodel.config.encoders import TDNN, Encoder
from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.log_net import LogNet
from spkmodel.config.loss_rules import check_batches, check_classes, with_margin
from spkmodel.config.losses import Loss
from spkmodel.config.margins import AAMSoftmax
from spkmodel.config.optimisation import EMA, AdamW, CosineRestarts, Optimiser, Schedule
from spkmodel.config.stages import LargeMarginFineTuning, WarmStart


class TrainConfig(FrozenModel):
    """All that decides what one training learns, apart from the corpus."""

    encoder: Encoder = TDNN()
    loss: Loss = AAMSoftmax()
    batches: Batches = Batches()
    augment: Augment = Augment()
    optimiser: Optimiser = AdamW()
    schedule: Schedule = CosineRestarts()
    gradient_clip: float | None = Field(default=5.0, gt=0)
    """Largest norm of the gradient of all weights together; None: any."""
    batches_per_step: int = Field(default=1, ge=1, le=1024)
    """Batches whose gradients are averaged for one step of the optimiser. Losses that compare
    utterances compare those of one batch. Where an epoch ends with fewer, its last step has their
    sum divided by the same number, so that every batch weighs the same."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the encoder's products during training (autocast). Weights, features, loss and the
    optimiser's moments are float32 always, and so is all that is judged."""
    ema: EMA | None = None
    warm_start: WarmStart | None = None
    fine_tune: LargeMarginFineTuning | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)

    @property
    def signature(self) -> str:
        """Eight hex digits of the canonical JSON."""
        canonical = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @model_validator(mode="after")
    def _loss_has_its_batches(self) -> "TrainConfig":
        check_batches(self.loss, self.batches.speakers, self.batches.utterances)
        return self

    @model_validator(mode="after")
    def _peaks_are_taken_out_in_training_too(self) -> "TrainConfig":
        is_peak = isinstance(self.encoder, LogNet) and self.encoder.waveform.normalisation == "peak"
        if is_peak and self.batches.level != "peak":
            raise ValueError(
                'batches.level must be "peak" for encoder.waveform.normalisation="peak", which '
                f'leaves the level of a training crop to it, got "{self.batches.level}"'
            )
        return self

    @model_validator(mode="after")
    def _loss_has_the_margin_that_grows(self) -> "TrainConfig":
        if self.fine_tune is not None:
            with_margin(self.loss, self.fine_tune.margin)
        return self

    @model_validator(mode="after")
    def _classes_stay_the_same(self) -> "TrainConfig":
        later = self.fine_tune.augment if self.fine_tune is not None else None
        speed = later.speed if later is not None else None
        if speed is not None and speed.new_speakers and speed != self.augment.speed:
            raise ValueError(
                "fine_tune.augment.speed makes speakers that the loss was not built for; leave it "
                "out (None), or take the same as augment.speed"
            )
        return self

    @model_validator(mode="after")
    def _babble_has_its_talkers(self) -> "TrainConfig":
        check_talkers("augment", self.augment, self.batches)
        if self.fine_tune is not None and self.fine_tune.augment is not None:
            check_talkers("fine_tune.augment", self.fine_tune.augment, self.batches)
        return self

    def classes(self, speakers: int) -> int:
        """Return how many classes the loss has for so many training speakers.

        Label r * speakers + s is speaker s at the r-th of `augment.speed.ordered`, so the first
        `speakers` classes are of speech as it was recorded.
        """
        speed = self.augment.speed
        return speakers * (len(speed.rates) if speed is not None and speed.new_speakers else 1)

    @property
    def longest_read_seconds(self) -> float:
        """The longest stretch read for one crop, in seconds: longer than the crop if sped up."""
        tuning = self.fine_tune
        first = self.augment.read_seconds(self.batches.crop_seconds)
        if tuning is None:
            return first
        last = (tuning.augment or Augment()).read_seconds(tuning.crop_seconds)
        return max(first, last)

    def check_corpus(self, utterances_of: Sequence[int], longest_seconds: float) -> None:
        """Raise an error if the corpus has too little for this config.

        Args:
            utterances_of: the number of utterances of each training speaker.
            longest_seconds: the longest training utterance's length. One that is too short for a
                crop starts over; where all are, every crop would be a repetition.

        Raises:
            ValueError: naming the field and the remedy.
        """
        check_filled(self.loss, self.batches, utterances_of)
        check_classes(self.loss, self.classes(len(utterances_of)))
        check_crop("", self.batches.crop_seconds, self.augment.speed, longest_seconds)
        tuning = self.fine_tune
        if tuning is not None:
            speed = tuning.augment.speed if tuning.augment is not None else None
            check_crop("fine_tune.", tuning.crop_seconds, speed, longest_seconds)

    def check_epoch(self, batches: int) -> None:
        """Raise an error for an epoch of so many batches, if the config does not allow it.

        Raises:
            ValueError: naming the field and the remedy.
        """
        if batches == 0:
            raise ValueError(
                f"batches: not one batch of {self.batches.speakers} speakers x "
                f"{self.batches.utterances} utterances can be made from this corpus; use smaller "
                "batches"
            )
        if self.batches_per_step > batches:
            raise ValueError(
                f"batches_per_step={self.batches_per_step}, but an epoch of this corpus has "
                f"{batches} batches; set it to {batches} or less"
            )
