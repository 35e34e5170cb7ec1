"""Optimisers, and how the learning rate goes."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spkmodel.config.part import Part


class Adam(Part):
    """Adam; `l2` is added to the gradient, not decoupled (Kingma & Ba 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    l2: float = Field(default=0.0, ge=0, le=1)


class AdamW(Part):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0, le=10)


Optimiser = Annotated[Adam | AdamW, Field(discriminator="kind")]


class Constant(Part):
    """The learning rate as it is, after a linear warm-up."""

    kind: Literal["constant"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0, le=100)


class Cosine(Part):
    """One cosine from full rate to zero over `epochs`, after a linear warm-up; then zero."""

    kind: Literal["cosine"] = "cosine"
    epochs: int = Field(default=27, ge=1, le=100_000)
    warmup_epochs: float = Field(default=1.0, ge=0, le=100)

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "Cosine":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                "schedule.warmup_epochs must be below schedule.epochs, got "
                f"{self.warmup_epochs} and {self.epochs}"
            )
        return self


class CosineRestarts(Part):
    """Cosine cycles with warm restarts (Loshchilov & Hutter 2017, SGDR).

    Cycles end at `first_epochs * growth**k`: 1, 3, 9, 27 by default, so that every rung of a
    search judges a network at the end of a cycle, and a search can be extended to the next one.
    """

    kind: Literal["cosine_restarts"] = "cosine_restarts"
    first_epochs: int = Field(default=1, ge=1, le=1000)
    growth: int = Field(default=3, ge=2, le=10)
    warmup_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Of each cycle."""
    floor: float = Field(default=0.01, ge=0, lt=1)
    """The rate at a cycle's end, as a fraction of the full one."""


Schedule = Annotated[Constant | Cosine | CosineRestarts, Field(discriminator="kind")]
