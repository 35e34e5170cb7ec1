"""Configs of margin schedules: from an initial margin to the full one."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel


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
