"""Optuna's samplers with Optuna's pruners, on asynchronous workers that share one study."""

import warnings
from collections.abc import Callable
from typing import Literal

import optuna

from bench.simulate.clock import Job
from bench.simulate.curves import EPOCHS, Family
from search.scheduler.policy import ladder

SamplerName = Literal["tpe", "gp", "cmaes", "random"]
PrunerName = Literal["asha", "hyperband"]


class OptunaStudy:
    """One study; a worker trains a trial until its pruner ends it."""

    def __init__(self, family: Family, seed: int, sampler: SamplerName, pruner: PrunerName) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.rungs = ladder(EPOCHS)
        self._family = family
        self._study = optuna.create_study(
            direction="minimize", sampler=_SAMPLERS[sampler](seed), pruner=_PRUNERS[pruner]
        )
        self._trials: dict[str, optuna.Trial] = {}

    def next_job(self) -> Job:
        """Ask for a new trial."""
        trial = self._study.ask()
        self._family.space.function(trial)
        name = f"o{trial.number + 1:04d}"
        self._trials[name] = trial
        return Job(name, trial.params, 0)

    def on_epoch(self, trial: str, epoch: int, eer: float) -> bool:
        """Report, and ask the pruner."""
        which = self._trials[trial]
        which.report(eer, epoch)
        if epoch == EPOCHS:
            self._study.tell(which, eer)
            return False
        if which.should_prune():
            self._study.tell(which, state=optuna.trial.TrialState.PRUNED)
            return False
        return True

    def on_divergence(self, trial: str, epoch: int) -> None:
        """Report a failed trial."""
        del epoch
        self._study.tell(self._trials[trial], state=optuna.trial.TrialState.FAIL)


_SAMPLERS: dict[SamplerName, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
_PRUNERS: dict[PrunerName, optuna.pruners.BasePruner] = {
    "asha": optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "hyperband": optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=EPOCHS, reduction_factor=3
    ),
}
