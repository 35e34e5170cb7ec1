"""The simplest strategies there are: what anything else has to be better than."""

from collections import deque
from typing import Any

import optuna

from bench.simulate.clock import Job, SimulatedClock
from bench.simulate.curves import EPOCHS, Family


class RandomConfigs:
    """Configs drawn at random, all different by chance alone."""

    def __init__(self, family: Family, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._family = family
        self._study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))

    def draw(self) -> tuple[str, dict[str, Any]]:
        """Return a name and the answers of a new config."""
        trial = self._study.ask()
        self._family.space.function(trial)
        return f"s{trial.number + 1:04d}", trial.params


class FullTrainings:
    """Random search: every config is trained to its end."""

    rungs = (EPOCHS,)

    def __init__(self, family: Family, seed: int) -> None:
        self._configs = RandomConfigs(family, seed)

    def next_job(self) -> Job:
        """Begin another config."""
        name, axes = self._configs.draw()
        return Job(name, axes, 0)

    def on_epoch(self, trial: str, epoch: int, eer: float) -> bool:
        """Go on to the end."""
        del trial, eer
        return epoch < EPOCHS

    def on_divergence(self, trial: str, epoch: int) -> None:
        """Forget it."""


class OneEpochThenBest:
    """Random configs for one epoch each for half the budget, then the best ten to their end.

    The ten are trained in turn by epochs: all to epoch 2, to 3, and so on.
    """

    rungs = tuple(range(1, EPOCHS + 1))

    def __init__(
        self, family: Family, seed: int, budget: float, clock: SimulatedClock, best: int = 10
    ) -> None:
        self._configs = RandomConfigs(family, seed)
        self._half, self._clock, self._best = budget / 2, clock, best
        self._first: dict[str, float] = {}
        self._axes: dict[str, dict[str, Any]] = {}
        self._turn: deque[tuple[str, int]] | None = None

    def next_job(self) -> Job | None:
        """Begin a config in the first half, go on with the next in turn in the second."""
        if self._clock.now < self._half:
            name, axes = self._configs.draw()
            self._axes[name] = axes
            return Job(name, self._axes[name], 0)
        if self._turn is None:
            order = sorted(self._first, key=self._first.__getitem__)
            self._turn = deque((name, 1) for name in order[: self._best])
        if not self._turn:
            return None
        name, epoch = self._turn.popleft()
        return Job(name, self._axes[name], epoch)

    def on_epoch(self, trial: str, epoch: int, eer: float) -> bool:
        """Keep the first epoch's EER; put a finalist at the end of the queue."""
        if epoch == 1:
            self._first[trial] = eer
        elif self._turn is not None and epoch < EPOCHS:
            self._turn.append((trial, epoch))
        return False

    def on_divergence(self, trial: str, epoch: int) -> None:
        """It is not among the best."""
        del epoch
        self._first.pop(trial, None)
