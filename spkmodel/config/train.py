"""The whole: one training."""

import hashlib
import json

from pydantic import Field, model_validator

from spkmodel.config.data import Augment, Batches
from spkmodel.config.encoders import TDNN, Encoder
from spkmodel.config.losses import AAMSoftmax, Loss
from spkmodel.config.optimisation import AdamW, CosineRestarts, Optimiser, Schedule
from spkmodel.config.part import Part

_NEEDS_PAIRS_OF_ONE_SPEAKER = ("triplet", "combined", "angular_prototypical")


class TrainConfig(Part):
    """All that decides what one training learns, apart from the corpus."""

    encoder: Encoder = TDNN()
    loss: Loss = AAMSoftmax()
    batches: Batches = Batches()
    augment: Augment = Augment()
    optimiser: Optimiser = AdamW()
    schedule: Schedule = CosineRestarts()
    gradient_clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient of all weights together."""
    seed: int = Field(default=0, ge=0, lt=2**31)

    @property
    def signature(self) -> str:
        """Eight hex digits of the canonical JSON."""
        canonical = json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @model_validator(mode="after")
    def _loss_has_its_utterances(self) -> "TrainConfig":
        if self.loss.kind in _NEEDS_PAIRS_OF_ONE_SPEAKER and self.batches.utterances < 2:
            raise ValueError(
                f"batches.utterances must be at least 2 for loss.kind={self.loss.kind!r} (it "
                f"compares utterances of one speaker), got {self.batches.utterances}"
            )
        return self

    def check_corpus(self, speakers: int, utterances_of_most: int) -> None:
        """Refuse what this corpus cannot feed.

        Args:
            speakers: number of training speakers.
            utterances_of_most: the P-th largest number of utterances a speaker has, P being
                `batches.speakers` (0 when there are fewer speakers).

        Raises:
            ValueError: naming the field and the remedy.
        """
        if self.batches.speakers > speakers:
            raise ValueError(
                f"batches.speakers={self.batches.speakers} is more than the {speakers} speakers of "
                f"the training list; set it to {speakers} or less"
            )
        if self.batches.utterances > utterances_of_most:
            raise ValueError(
                f"batches.utterances={self.batches.utterances}, but only few training speakers "
                f"have that many: {self.batches.speakers} have {utterances_of_most} or more; "
                f"set it to {utterances_of_most} or less"
            )
