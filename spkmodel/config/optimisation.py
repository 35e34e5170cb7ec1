"""Configs of optimisers, learning rate schedules and weight averaging.

Two things are called weight decay elsewhere, and have two names here. `l2` adds l2 * w to a
weight's gradient, the gradient of l2/2 * w**2 in the loss: the log's `generator-wd`, and
`weight_decay` of torch's Adam and SGD. `weight_decay` is decoupled (Loshchilov & Hutter 2019): it
shrinks a weight by learning rate * weight_decay at each step, whatever its gradient.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from spkmodel.config.frozen_model import FrozenModel

Decayed: TypeAlias = Literal["kernels", "all"]
"""What `l2` and `weight_decay` touch. kernels: weights of two dimensions and more (convolutions,
dense layers, a loss's class directions), as in the log. all: biases, norms and learned scales too,
as in voxceleb_trainer and WeSpeaker, whose optimisers are given all weights alike."""


class Adam(FrozenModel):
    """Adam (Kingma & Ba 2015)."""

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    l2: float = Field(default=0.0, ge=0, le=1)
    decayed: Decayed = "kernels"
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1)


class AdamW(FrozenModel):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0, le=10)
    decayed: Decayed = "kernels"
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1)


class NAdam(FrozenModel):
    """Adam with Nesterov's momentum (Dozat 2016), the log's optimiser."""

    kind: Literal["nadam"] = "nadam"
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    l2: float = Field(default=0.0, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    decayed: Decayed = "kernels"
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0, le=1)
    momentum_decay: float = Field(default=4e-3, ge=0, le=1e6)
    """Momentum at step t is beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)): from about half of
    beta1 at first to all of it; 0: half of beta1 for ever. From 1e4 on it is beta1 from the first
    step, as in TensorFlow 1's Nadam, which the log used. The first steps still differ: with beta1
    0.9 the first one is 1.47 times the learning rate here and 1.90 times there, since torch divides
    the momentum by 1 - beta1^(t + 1) and TensorFlow 1 by 1 - beta1^t."""

    @model_validator(mode="after")
    def _decays_once(self) -> "NAdam":
        if self.l2 > 0 and self.weight_decay > 0:
            raise ValueError(
                "optimiser.l2 and optimiser.weight_decay are two ways of the same thing; leave one "
                f"at 0, got {self.l2} and {self.weight_decay}"
            )
        return self


class SGD(FrozenModel):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    l2: float = Field(default=0.0, ge=0, le=1)
    decayed: Decayed = "kernels"

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "SGD":
        if self.nesterov and self.momentum == 0:
            raise ValueError("optimiser.nesterov needs optimiser.momentum above 0, got 0")
        return self


Optimiser = Annotated[Adam | AdamW | NAdam | SGD, Field(discriminator="kind")]


class Constant(FrozenModel):
    """The learning rate as it is, after a linear warm-up."""

    kind: Literal["constant"] = "constant"
    warmup_epochs: float = Field(default=0.0, ge=0, le=100)


class StepDecay(FrozenModel):
    """Times `factor` after every `every_epochs` epochs, and a linear warm-up.

    The defaults are voxceleb_trainer's: its interval is that of its tests.
    """

    kind: Literal["step_decay"] = "step_decay"
    every_epochs: int = Field(default=10, ge=1, le=100_000)
    factor: float = Field(default=0.95, gt=0, le=1)
    warmup_epochs: float = Field(default=0.0, ge=0, le=100)


class ExponentialDecay(FrozenModel):
    """Times `factor` every `every_steps` steps of the optimiser, gradually (log, entry 42)."""

    kind: Literal["exponential_decay"] = "exponential_decay"
    every_steps: int = Field(default=250, ge=1, le=10_000_000)
    factor: float = Field(default=0.99, gt=0, le=1)
    staircase: bool = False
    """Whether it falls at once, at the end of every `every_steps` steps."""
    warmup_epochs: float = Field(default=0.0, ge=0, le=100)


class ExponentialFall(FrozenModel):
    """Exponentially from full rate to `floor` of it over `epochs`, then constant.

    During the linear warm-up it falls already, as in WeSpeaker, whose recipes go from 0.1 to 5e-5
    over 150 epochs, 6 of them warm-up.
    """

    kind: Literal["exponential_fall"] = "exponential_fall"
    epochs: int = Field(default=27, ge=1, le=100_000)
    floor: float = Field(default=5e-4, gt=0, le=1)
    """The last rate as a fraction of the full one."""
    warmup_epochs: float = Field(default=1.0, ge=0, le=100)

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "ExponentialFall":
        _check_warm_up(self.warmup_epochs, self.epochs)
        return self


class Cosine(FrozenModel):
    """One cosine from full rate to `floor` of it over `epochs`, after a linear warm-up."""

    kind: Literal["cosine"] = "cosine"
    epochs: int = Field(default=27, ge=1, le=100_000)
    warmup_epochs: float = Field(default=1.0, ge=0, le=100)
    floor: float = Field(default=0.0, ge=0, lt=1)
    """The last rate as a fraction of the full one; it stays there."""

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "Cosine":
        _check_warm_up(self.warmup_epochs, self.epochs)
        return self


class CosineRestarts(FrozenModel):
    """Cosine cycles with warm restarts (Loshchilov & Hutter 2017, SGDR), in epochs.

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


class SGDR(FrozenModel):
    """Cosine cycles with warm restarts as published, in steps of the optimiser; the log's schedule.

    A cycle is `length_growth` times as long as the one before it. By default cycles end after
    1,000 * (2**k - 1) steps; the log's budgets of 63,000, 127,000, 255,000 and 511,000 steps are
    such ends. Each cycle starts at the full rate.
    """

    kind: Literal["sgdr"] = "sgdr"
    first_steps: int = Field(default=1000, ge=1, le=10_000_000)
    length_growth: int = Field(default=2, ge=1, le=10)
    warmup_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Of each cycle."""
    floor: float = Field(default=0.0, ge=0, lt=1)
    """The rate at a cycle's end, as a fraction of the full one."""


class OneCycle(FrozenModel):
    """Up and down once over `epochs`, both along a cosine (Smith & Topin 2019); then constant.

    The momentum stays as it is.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    epochs: int = Field(default=27, ge=1, le=100_000)
    rise_fraction: float = Field(default=0.3, gt=0, lt=1)
    """Of the cycle, on the way up."""
    initial_fraction: float = Field(default=0.04, gt=0, le=1)
    """What the way up begins at, as a fraction of the full rate. The first step is one step further
    up, since rates are taken where a step ends; torch and WeSpeaker take them where it begins."""
    floor: float = Field(default=4e-6, ge=0, lt=1)
    """The last rate as a fraction of the full one."""


Schedule = Annotated[
    Constant
    | StepDecay
    | ExponentialDecay
    | ExponentialFall
    | Cosine
    | CosineRestarts
    | SGDR
    | OneCycle,
    Field(discriminator="kind"),
]


class EMA(FrozenModel):
    """An exponential moving average of the weights, which is what is judged, kept and promoted.

    Of encoder and loss, after every step of the optimiser. Running statistics of norms are
    averaged in the same way, counters are copied. The optimiser goes on from the weights
    themselves.
    """

    decay: float = Field(default=0.999, gt=0, lt=1)
    warm_up: bool = True
    """Whether the decay after step t is at most (1 + t) / (10 + t): otherwise the first weights,
    drawn by chance, keep 90 % of the average after 100 steps at a decay of 0.999."""


def _check_warm_up(warmup_epochs: float, epochs: int) -> None:
    if warmup_epochs >= epochs:
        raise ValueError(
            "schedule.warmup_epochs must be below schedule.epochs, got "
            f"{warmup_epochs} and {epochs}"
        )
