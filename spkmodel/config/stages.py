"""Configs of what may precede a training (warm start) and follow it (fine-tuning)."""

import re

from pydantic import Field, model_validator

from spkmodel.config.data import Augment
from spkmodel.config.frozen_model import FrozenModel
from spkmodel.config.optimisation import ExponentialFall, Schedule


class WarmStart(FrozenModel):
    """Start from trained weights instead of chance: the log's "retrained from".

    The encoder's weights are taken, averaged ones where an average was kept. The loss's own
    weights are taken where it is the same kind of loss, class by class for the speakers that both
    know; all else of the loss starts anew. So does the optimiser.
    """

    weights: str = Field(min_length=1)
    """`SEARCH/NAME` of something trained in a search, of which the epoch with the lowest dev EER
    among the kept ones is taken, as everywhere; or the folder of a checkpoint."""
    sha256: str = ""
    """Of the checkpoint; another one is refused. Empty: whatever is there when training starts,
    which is then recorded."""
    fresh: tuple[str, ...] = ()
    """Parts of the encoder, by the beginning of their weights' names (`out_block`), that start
    anew, and may have another shape. Everything else must fit."""

    @model_validator(mode="after")
    def _sha256_is_one(self) -> "WarmStart":
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(
                "warm_start.sha256 must be 64 hex digits in lower case, or empty, got "
                f"{self.sha256!r}"
            )
        if "" in self.fresh:
            raise ValueError('warm_start.fresh must name parts of the encoder, got ""')
        return self


class LargeMarginFineTuning(FrozenModel):
    """Last epochs with a larger margin on longer crops at a low rate (Thienpondt et al. 2021).

    From the epoch `from_epoch` on, counted from 1, the given replace what held before. The
    defaults are WeSpeaker's; its stage takes 5 epochs. Weights, the optimiser's moments and the
    classes of the loss go on as they are.
    """

    from_epoch: int = Field(ge=2, le=100_000)
    margin: float = Field(default=0.5, ge=0, lt=1.6)
    """In the unit of the loss's own margin: radians or cosine."""
    crop_seconds: float = Field(default=6.0, ge=0.2, le=20)
    learning_rate: float = Field(default=1e-4, gt=0, le=10)
    schedule: Schedule = ExponentialFall(epochs=5, floor=0.25, warmup_epochs=1)
    """Of this stage: its epochs and steps count from the stage's start."""
    augment: Augment | None = None
    """None: as before, without speed perturbation."""
