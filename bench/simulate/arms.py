"""The strategies that are compared, by name."""

from collections.abc import Callable
from dataclasses import dataclass

import optuna

from bench.simulate import ours
from bench.simulate.clock import Run, Searcher, SimulatedClock, run
from bench.simulate.curves import Family
from bench.simulate.optuna_alone import OptunaStudy, PrunerName, SamplerName
from bench.simulate.shipped import RayPair
from bench.simulate.simple import FullTrainings, OneEpochThenBest


@dataclass(frozen=True)
class Conditions:
    """What a search is run with, apart from its strategy."""

    seed: int
    budget: float
    """Seconds of each worker; an epoch of the default config takes one."""
    workers: int


Arm = Callable[[Family, Conditions], Run]


def _of_ours(settings: ours.Settings) -> Arm:
    def play(family: Family, given: Conditions) -> Run:
        clock = SimulatedClock()
        with ours.opened(
            family, settings, given.seed, given.budget, given.workers, clock
        ) as search:
            return run(search, family, given.budget, given.workers, clock)

    return play


def _of(make: Callable[[Family, Conditions, SimulatedClock], Searcher]) -> Arm:
    def play(family: Family, given: Conditions) -> Run:
        clock = SimulatedClock()
        return run(make(family, given, clock), family, given.budget, given.workers, clock)

    return play


def _optuna(sampler: SamplerName, pruner: PrunerName) -> Arm:
    return _of(lambda family, given, _: OptunaStudy(family, given.seed, sampler, pruner))


SHIPPED = "ray: OptunaSearch + ASHAScheduler"
DEFAULT = "ours: tpe"
OUR_RANDOM = "ours: random"
EARLY = "ours: early_tpe"

ARMS: dict[str, Arm] = {
    DEFAULT: _of_ours(ours.Settings()),
    OUR_RANDOM: _of_ours(ours.Settings("random")),
    EARLY: _of_ours(ours.Settings("early_tpe")),
    "ours: tpe, 2/9/27, eta 6": _of_ours(ours.Settings("tpe", 6, (2, 9, 27))),
    "ours: random, 2/9/27, eta 6": _of_ours(ours.Settings("random", 6, (2, 9, 27))),
    "ours: tpe, 1/5/27, eta 5": _of_ours(ours.Settings("tpe", 5, (1, 5, 27))),
    "ours: tpe, 1/27, eta 10": _of_ours(ours.Settings("tpe", 10, (1, 27))),
    "ours: tpe, 3/9/27": _of_ours(ours.Settings("tpe", 3, (3, 9, 27))),
    "ours: random, 3/9/27": _of_ours(ours.Settings("random", 3, (3, 9, 27))),
    SHIPPED: _of(lambda family, given, _: RayPair(family, given.seed)),
    "ray: random + ASHAScheduler": _of(
        lambda family, given, _: RayPair(
            family, given.seed, lambda seed: optuna.samplers.RandomSampler(seed=seed)
        )
    ),
    "optuna: tpe + asha": _optuna("tpe", "asha"),
    "optuna: tpe + hyperband": _optuna("tpe", "hyperband"),
    "optuna: gp + asha": _optuna("gp", "asha"),
    "optuna: cmaes + asha": _optuna("cmaes", "asha"),
    "random, to the end": _of(lambda family, given, _: FullTrainings(family, given.seed)),
    "random, one epoch, then best 10": _of(
        lambda family, given, clock: OneEpochThenBest(family, given.seed, given.budget, clock)
    ),
}

SLOW_ARMS = {"optuna: gp + asha"}
"""Strategies whose suggestion takes more than 20 ms."""
