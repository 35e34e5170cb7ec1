"""Families made of the table of real curves: the table itself, and a model of it."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from bench.curve_table import space as table_space
from bench.curve_table.table import Training, read
from bench.simulate.curves import CHANCE_EER, EPOCHS, Axes, Curve, noise_of
from search.space.branches import Space
from spkmodel.config import AdamW, TrainConfig

if TYPE_CHECKING:
    from optuna import Trial

CONDITION = "mismatched"

NOISE = 0.05
"""Deviation of one epoch's EER around a smooth curve, relative; `residual_noise` measures it."""


@functools.cache
def trainings() -> tuple[Training, ...]:
    """Return the trainings of the table that reached their end, one seed of each config."""
    return tuple(each for each in read() if each.is_whole and each.seed == 0)


def _which(trial: "Trial") -> TrainConfig:
    """Choose a training of the table; its number is the only parameter, so nothing is modelled."""
    number = trial.suggest_categorical("config", list(range(len(trainings()))))
    # The learning rate tells one config from another where configs are compared by contents.
    return TrainConfig(optimiser=AdamW(learning_rate=1e-3 * (1 + number)))


class Recorded:
    """The recorded trainings themselves, in an order that the seed decides."""

    name = "recorded"
    space = Space("recorded", _which, "Which of these trainings?", Path(__file__), "0" * 64)

    def __init__(self, seed: int) -> None:
        self._order = np.random.default_rng(seed).permutation(len(trainings()))
        self._median = float(np.median([_seconds(each) for each in trainings()]))

    def curve(self, axes: Axes) -> Curve:
        """Return the curve as it was recorded; what was measured is all that is known of it."""
        training = trainings()[self._order[axes["config"]]]
        seen = training.epochs[f"{CONDITION}_eer"].to_numpy(float)
        seconds = training.epochs["seconds"].to_numpy(float) / self._median
        # Smoothed over three epochs, it says what the incumbent is worth with less of its luck.
        padded = np.pad(seen, 1, mode="edge")
        true = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
        return Curve(true, seen, seconds)


def _seconds(training: Training) -> float:
    return float(training.epochs["seconds"].mean())


class Columns:
    """Turns answers into numbers: a column for a number, one for each value of a choice."""

    def __init__(self, known: Sequence[Mapping[str, Any]]) -> None:
        self._numbers = sorted({n for axes in known for n, v in axes.items() if _is_number(v)})
        choices = {(n, str(v)) for axes in known for n, v in axes.items() if not _is_number(v)}
        self._choices = sorted(choices)

    def row(self, axes: Mapping[str, Any]) -> list[float]:
        """Return the columns; a number that was not asked is -1."""
        numbers = [_scaled(name, axes[name]) if name in axes else -1.0 for name in self._numbers]
        chosen = [float(str(axes.get(name)) == value) for name, value in self._choices]
        return numbers + chosen


def _is_number(value: object) -> bool:
    return isinstance(value, float)


def _scaled(name: str, value: float) -> float:
    return math.log10(value) if name in ("learning_rate", "weight_decay") else float(value)


class SurrogateModel:
    """A forest from answers to the whole curve's logarithm, and to the seconds of an epoch."""

    def __init__(self, known: Sequence[Training], seed: int = 0) -> None:
        self._columns = Columns([each.axes for each in known])
        inputs = [self._columns.row(each.axes) for each in known]
        curves = np.stack([_smooth_log_curve(each) for each in known])
        seconds = np.log([_seconds(each) for each in known])
        self._median = float(np.exp(np.median(seconds)))
        self._forest = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=seed)
        self._forest.fit(inputs, np.column_stack([curves, seconds]))

    def predict(self, axes: Mapping[str, Any]) -> tuple[np.ndarray, float]:
        """Return the EER of every epoch, and the seconds of one in those of the median config."""
        (found,) = self._forest.predict([self._columns.row(axes)])
        return np.exp(found[:-1]), float(np.exp(found[-1])) / self._median


def _smooth_log_curve(training: Training) -> np.ndarray:
    return np.log(np.maximum(training.epochs[f"{CONDITION}_eer"].to_numpy(float), 1e-3))


@functools.cache
def _model() -> SurrogateModel:
    return SurrogateModel(trainings())


class Surrogate:
    """The model of the table over its whole space; noise as of the recorded curves."""

    name = "surrogate"
    space = table_space.SPACE

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def curve(self, axes: Axes) -> Curve:
        """Return the predicted curve, with noise of its own in every epoch."""
        true, seconds = _predicted(tuple(sorted(axes.items())))
        chance = noise_of(self._seed, axes)
        own = 1 + NOISE * float(chance.standard_normal())
        true = np.clip(true * own, 0.001, CHANCE_EER)
        seen = np.clip(true * (1 + NOISE * chance.standard_normal(EPOCHS)), 0.001, CHANCE_EER)
        return Curve(true, seen, seconds * chance.lognormal(0.0, 0.05, EPOCHS))


@functools.lru_cache(maxsize=100_000)
def _predicted(answers: tuple[tuple[str, Any], ...]) -> tuple[np.ndarray, float]:
    return _model().predict(dict(answers))


def cross_validated(folds: int = 8) -> tuple[float, float]:
    """Return how well the model ranks configs that it has not seen, by their last EER.

    Spearman's correlation of predicted and recorded, and the median error in the EER's logarithm.
    """
    from scipy.stats import spearmanr

    known = list(trainings())
    predicted = np.zeros(len(known))
    for fold in range(folds):
        kept = [each for place, each in enumerate(known) if place % folds != fold]
        model = SurrogateModel(kept)
        for place in range(fold, len(known), folds):
            predicted[place] = model.predict(known[place].axes)[0][-1]
    recorded = np.array([float(each.epochs[f"{CONDITION}_eer"].iloc[-1]) for each in known])
    errors = np.abs(np.log(predicted) - np.log(np.maximum(recorded, 1e-3)))
    return float(spearmanr(predicted, recorded).statistic), float(np.median(errors))


def residual_noise() -> float:
    """Return the deviation of an epoch's EER from the mean of its neighbours, relative."""
    residuals = []
    for each in trainings():
        curve = np.log(np.maximum(each.epochs[f"{CONDITION}_eer"].to_numpy(float), 1e-3))[4:]
        # Of white noise, the difference to the mean of both neighbours has 1.5 times the variance.
        residuals.append((curve[1:-1] - (curve[:-2] + curve[2:]) / 2) / 1.5**0.5)
    return float(np.std(np.concatenate(residuals)))
