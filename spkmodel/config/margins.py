"""Configs of margin schedules, and of the softmax losses whose margin they move."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel

Fallback = Literal["sine_line", "cosine_line", "easy_margin"]
"""What stands for cos(theta + m) where it would not grow with the angle any more.

sine_line: past theta = pi - m, cos(theta) - m sin(m) (InsightFace, voxceleb_trainer).
cosine_line: past theta = pi - m, cos(theta) - 1 + cos(m), which joins without a jump (WeSpeaker,
3D-Speaker).
easy_margin: the margin holds below theta = pi/2 only; beyond it the cosine is as it is, which costs
less than just before (InsightFace's `easy_margin`).
"""


class ConstantMargin(FrozenModel):
    """The loss's margin from the first step to the last."""

    kind: Literal["constant"] = "constant"


class LinearMargin(FrozenModel):
    """From `initial` up to the loss's margin in a straight line, between two moments."""

    kind: Literal["linear"] = "linear"
    from_epoch: float = Field(default=1.0, ge=0, le=100_000)
    """Epochs trained when the margin begins to move. WeSpeaker counts epochs from 1: its
    `increase_start_epoch` is one more."""
    to_epoch: float = Field(default=3.0, gt=0, le=100_000)
    """Epochs trained when the loss's margin is reached."""
    initial: float = Field(default=0.0, ge=0, le=10)
    """In the unit of the loss's margin."""

    @model_validator(mode="after")
    def _moves_forward(self) -> "LinearMargin":
        _forward(self.from_epoch, self.to_epoch)
        return self


class ExponentialMargin(FrozenModel):
    """From `initial` to the loss's margin m, steep first: m - (m - initial) 0.001^done.

    `done` goes from 0 to 1 between the two moments; then the margin is m. WeSpeaker's form
    (`increase_type: exp`), which half way has gone 96.8 % of the way.
    """

    kind: Literal["exponential"] = "exponential"
    from_epoch: float = Field(default=1.0, ge=0, le=100_000)
    """Epochs trained when the margin begins to move."""
    to_epoch: float = Field(default=3.0, gt=0, le=100_000)
    """Epochs trained when the loss's margin is reached."""
    initial: float = Field(default=0.0, ge=0, le=10)
    """In the unit of the loss's margin."""

    @model_validator(mode="after")
    def _moves_forward(self) -> "ExponentialMargin":
        _forward(self.from_epoch, self.to_epoch)
        return self


class StepMargin(FrozenModel):
    """`initial` until a moment, the loss's margin from then on (entry 125: 0.5, then 1.0)."""

    kind: Literal["step"] = "step"
    at_epoch: float = Field(default=1.0, gt=0, le=100_000)
    """Epochs trained when the margin changes."""
    initial: float = Field(default=0.0, ge=0, le=10)
    """In the unit of the loss's margin."""


MarginSchedule = Annotated[
    ConstantMargin | LinearMargin | ExponentialMargin | StepMargin, Field(discriminator="kind")
]


def check_initial(schedule: MarginSchedule, margin: float, limit: float) -> None:
    """Raise an error for a schedule that starts outside the loss's range or does not change.

    Raises:
        ValueError: naming the field and the remedy.
    """
    if isinstance(schedule, ConstantMargin):
        return
    if schedule.initial >= limit:
        raise ValueError(
            f"margin_schedule.initial must be below {limit} as the margin is, got "
            f"{schedule.initial}"
        )
    if schedule.initial == margin:
        raise ValueError(
            f"margin_schedule.initial={schedule.initial} is the loss's own margin, so nothing "
            "would move; set another one, or use ConstantMargin"
        )


def _forward(from_epoch: float, to_epoch: float) -> None:
    if from_epoch >= to_epoch:
        raise ValueError(
            "margin_schedule.from_epoch must be below margin_schedule.to_epoch, got "
            f"{from_epoch} and {to_epoch}"
        )


class AMSoftmax(FrozenModel):
    """Additive margin softmax (Wang et al. 2018, arXiv:1801.05599): s (cos - m)."""

    kind: Literal["am_softmax"] = "am_softmax"
    needs_utterances: ClassVar[int] = 1
    margin: float = Field(default=0.2, ge=0, lt=1)
    """Subtracted from the target's cosine."""
    scale: float = Field(default=30.0, gt=0, le=200)
    margin_schedule: MarginSchedule = ConstantMargin()

    @model_validator(mode="after")
    def _margin_moves(self) -> "AMSoftmax":
        check_initial(self.margin_schedule, self.margin, limit=1.0)
        return self


class AAMSoftmax(FrozenModel):
    """Additive angular margin softmax (Deng et al. 2019, arXiv:1801.07698): s cos(theta + m)."""

    kind: Literal["aam_softmax"] = "aam_softmax"
    needs_utterances: ClassVar[int] = 1
    margin_rad: float = Field(default=0.2, ge=0, lt=1.6)
    scale: float = Field(default=30.0, gt=0, le=200)
    fallback: Fallback = "sine_line"
    margin_schedule: MarginSchedule = ConstantMargin()

    @model_validator(mode="after")
    def _margin_moves(self) -> "AAMSoftmax":
        check_initial(self.margin_schedule, self.margin_rad, limit=1.6)
        return self


class SubCentreAAMSoftmax(FrozenModel):
    """AAM softmax with several directions a speaker and a penalty on the most alike others.

    A speaker's cosine is that of the nearest of its directions (Deng et al. 2020, "Sub-center
    ArcFace"). Of the other speakers, the `hard_speakers` nearest to an utterance count as
    `hard_penalty_rad` nearer: cos(theta - penalty) (inter-top-k; Zhao et al. 2021,
    arXiv:2110.05042). The penalty is in proportion to the margin while that moves.
    """

    kind: Literal["sub_centre_aam_softmax"] = "sub_centre_aam_softmax"
    needs_utterances: ClassVar[int] = 1
    margin_rad: float = Field(default=0.2, gt=0, lt=1.6)
    scale: float = Field(default=32.0, gt=0, le=200)
    fallback: Fallback = "cosine_line"
    centres: int = Field(default=3, ge=1, le=20)
    """Directions a speaker; 1 leaves the inter-top-k penalty alone."""
    hard_speakers: int = Field(default=5, ge=0, le=1000)
    """How many other speakers are penalised, for each utterance; 0: none."""
    hard_penalty_rad: float = Field(default=0.06, ge=0, lt=1.6)
    """At the full margin. WeSpeaker's `mp` is that at a margin of 0.2, whatever the full one."""
    margin_schedule: MarginSchedule = ConstantMargin()

    @model_validator(mode="after")
    def _parts_agree(self) -> "SubCentreAAMSoftmax":
        check_initial(self.margin_schedule, self.margin_rad, limit=1.6)
        if (self.hard_speakers == 0) != (self.hard_penalty_rad == 0):
            raise ValueError(
                "loss.hard_speakers and loss.hard_penalty_rad must both be 0 (no penalty) or both "
                f"be above it, got {self.hard_speakers} and {self.hard_penalty_rad}"
            )
        return self
