"""Ray Tune's pair, OptunaSearch with ASHAScheduler, asked as Tune asks it, without a cluster."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import optuna
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from bench.simulate.clock import Job
from bench.simulate.curves import EPOCHS, Family
from search.scheduler.policy import ladder

_METRIC = "dev_eer"


class RayPair:
    """OptunaSearch and ASHAScheduler with Ray's defaults, or another sampler of Optuna's."""

    def __init__(
        self,
        family: Family,
        seed: int,
        sampler: Callable[[int], optuna.samplers.BaseSampler] | None = None,
        eta: int = 3,
    ) -> None:
        """Prepare; `sampler` from a seed, by default the one that OptunaSearch makes (TPE)."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.rungs = ladder(EPOCHS, eta)
        self._asked: dict[str, dict[str, Any]] = {}

        def define(trial: optuna.Trial) -> None:
            family.space.function(trial)

        self._search = OptunaSearch(
            space=define,
            metric=_METRIC,
            mode="min",
            **({"seed": seed} if sampler is None else {"sampler": sampler(seed)}),
        )
        self._scheduler = ASHAScheduler(
            time_attr="epoch",
            metric=_METRIC,
            mode="min",
            max_t=EPOCHS,
            grace_period=1,
            reduction_factor=eta,
        )
        self._trials: dict[str, Any] = {}

    def next_job(self) -> Job:
        """Ask for a new trial: Tune never goes back to an old one."""
        name = f"r{len(self._trials) + 1:04d}"
        axes = self._search.suggest(name)
        trial = SimpleNamespace(trial_id=name, stub=True)
        self._trials[name] = trial
        self._scheduler.on_trial_add(None, trial)
        return Job(name, axes, 0)

    def on_epoch(self, trial: str, epoch: int, eer: float) -> bool:
        """Report to the scheduler, then to the searcher, as Tune's controller does."""
        result = {_METRIC: eer, "epoch": epoch, "training_iteration": epoch}
        decision = self._scheduler.on_trial_result(None, self._trials[trial], result)
        if decision == TrialScheduler.CONTINUE and epoch < EPOCHS:
            self._search.on_trial_result(trial, result)
            return True
        self._scheduler.on_trial_complete(None, self._trials[trial], result)
        self._search.on_trial_complete(trial, result)
        return False

    def on_divergence(self, trial: str, epoch: int) -> None:
        """Report a trial that ended with an error."""
        del epoch
        self._scheduler.on_trial_error(None, self._trials[trial])
        self._search.on_trial_complete(trial, error=True)
