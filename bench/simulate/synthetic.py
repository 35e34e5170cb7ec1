"""Synthetic families of learning curves over one conditional space.

The EER after e epochs is `final + start * e**-rate`: a power law, as learning curves mostly are
(Domhan et al. 2015; Viering and Loog 2021). What differs between families is how `rate` depends on
the config, how noisy a measurement is, what an epoch costs and how often a training diverges.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.simulate.curves import CHANCE_EER, EPOCHS, Axes, Curve, noise_of
from search.space.branches import Space
from spkmodel.config import TDNN, AAMSoftmax, AdamW, AMSoftmax, Augment, Loss, Softmax, TrainConfig

if TYPE_CHECKING:
    from optuna import Trial


def _space(trial: "Trial") -> TrainConfig:
    """Ask nine parameters, two of them with one of three losses only."""
    loss: Loss
    match trial.suggest_categorical("loss", ["softmax", "am_softmax", "aam_softmax"]):
        case "softmax":
            loss = Softmax()
        case "am_softmax":
            loss = AMSoftmax(margin=trial.suggest_float("am_margin", 0.0, 0.4))
        case _:
            loss = AAMSoftmax(margin_rad=trial.suggest_float("aam_margin_rad", 0.0, 0.5))
    return TrainConfig(
        encoder=TDNN(
            channels=trial.suggest_categorical("channels", [32, 64, 128]),
            embedding_dim=trial.suggest_categorical("embedding_dim", [64, 128, 256]),
            dropout=trial.suggest_float("dropout", 0.0, 0.5),
        ),
        loss=loss,
        augment=Augment(
            noise_probability=trial.suggest_float("noise_probability", 0.0, 1.0),
            filter_probability=trial.suggest_float("filter_probability", 0.0, 1.0),
        ),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
            weight_decay=trial.suggest_float("weight_decay", 1e-4, 0.5, log=True),
        ),
    )


SPACE = Space("synthetic", _space, "Which of these is best?", Path(__file__), "0" * 64)

_RANGES = {
    "learning_rate": (1e-4, 3e-2, True, 1.0),
    "am_margin": (0.0, 0.4, False, 0.5),
    "aam_margin_rad": (0.0, 0.5, False, 0.5),
    "noise_probability": (0.0, 1.0, False, 0.4),
    "weight_decay": (1e-4, 0.5, True, 0.25),
    "dropout": (0.0, 0.5, False, 0.25),
    "filter_probability": (0.0, 1.0, False, 0.1),
}
"""Numeric axes: low, high, logarithmic, and how much each matters to the final EER."""

_CHANNEL_COST = {32: 0.6, 64: 1.0, 128: 2.2}
_FLOOR, _SPREAD = 0.02, 0.12


@dataclass(frozen=True)
class Synthetic:
    """A family drawn by its seed."""

    name: str
    seed: int
    crossing: float = 0.0
    """How strongly configs that end low learn slowly: 0 not at all, 1 markedly."""
    epoch_noise: float = 0.05
    """Deviation of a measurement, relative to the EER."""
    epoch_noise_points: float = 0.0
    """The same, absolute."""
    trial_noise_points: float = 0.0
    """Deviation of a training's whole curve: what another seed would change."""
    diverging: float = 0.06
    """Share of the configs drawn at random that diverge, about."""
    unequal_cost: bool = True
    space: Space = SPACE

    def curve(self, axes: Axes) -> Curve:
        """Return the curve of a config."""
        chance = noise_of(self.seed, axes)
        epochs = np.arange(1, EPOCHS + 1)
        final, slow = self._final_and_slowness(axes)
        rate = 1.0 + 0.1 * self.crossing
        start = (0.10 + 0.35 * self.crossing * (slow - 0.15)) * (1 + 0.1 * chance.standard_normal())
        true = np.minimum(final + start * epochs**-rate, CHANCE_EER)
        true = np.clip(true + self.trial_noise_points * chance.standard_normal(), 0.002, CHANCE_EER)
        noise = chance.standard_normal(EPOCHS)
        seen = true * (1 + self.epoch_noise * noise) + self.epoch_noise_points * noise
        seen = np.clip(seen, 0.001, CHANCE_EER)
        if self._diverges(axes, chance):
            seen[int(chance.integers(0, 4)) :] = np.nan
        cost = _CHANNEL_COST[axes["channels"]] if self.unequal_cost else 1.0
        return Curve(true, seen, cost * chance.lognormal(0.0, 0.05, EPOCHS))

    def _final_and_slowness(self, axes: Axes) -> tuple[float, float]:
        """Return the EER at the end, and from 0 to 1 how slowly the config comes there."""
        drawn = np.random.default_rng([self.seed, 1])
        optimum = {name: float(drawn.uniform(0.15, 0.85)) for name in _RANGES}
        best_loss = str(drawn.choice(["softmax", "am_softmax", "aam_softmax"]))
        best_width = int(drawn.choice([64, 128]))
        far = 0.0 if axes["loss"] == best_loss else 0.12
        far += 0.06 * abs(math.log2(axes["channels"] / best_width))
        far += 0.02 * abs(math.log2(axes["embedding_dim"] / 128))
        for name, (_, _, _, weight) in _RANGES.items():
            if name in axes:
                far += weight * (self._relative(name, axes) - optimum[name]) ** 2
        # Regularised, wide and careful: slow at first, and good in the end.
        parts = [
            1 - self._relative("learning_rate", axes),
            self._relative("noise_probability", axes),
            self._relative("dropout", axes),
            math.log2(axes["channels"] / 32) / 2,
        ]
        slow = float(np.mean(parts))
        far += 0.8 * self.crossing * (0.85 - slow)
        return _FLOOR + _SPREAD * far, slow

    def _diverges(self, axes: Axes, chance: np.random.Generator) -> bool:
        # Large steps do it: the upper tenth of the rates, where luck is against them.
        return self._relative("learning_rate", axes) > 0.9 and chance.random() < 10 * self.diverging

    @staticmethod
    def _relative(name: str, axes: Axes) -> float:
        """Return where in its range an answer is, from 0 to 1."""
        low, high, is_log, _ = _RANGES[name]
        if is_log:
            return math.log(axes[name] / low) / math.log(high / low)
        return (axes[name] - low) / (high - low)


def crossing(seed: int) -> Synthetic:
    """Curves cross: what is good after one epoch is often not good in the end."""
    return Synthetic("crossing", seed, crossing=1.0)


def benign(seed: int) -> Synthetic:
    """Curves of one shape: the order after one epoch is that of the end, but for noise."""
    return Synthetic("benign", seed)


def noisy(seed: int) -> Synthetic:
    """Curves that cross a little, measured on few speakers: 1.2 points an epoch, .6 a training."""
    return Synthetic(
        "noisy",
        seed,
        crossing=0.5,
        epoch_noise=0.0,
        epoch_noise_points=0.012,
        trial_noise_points=0.006,
        unequal_cost=False,
    )
