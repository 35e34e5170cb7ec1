"""A study of Optuna's that holds trials which somebody else keeps.

Optuna copies and checks every trial that is added to a study: with thousands, at every suggestion,
that takes longer than the suggestion. Here it is handed a list, which it only reads.
"""

from collections.abc import Container, Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection, create_study
from optuna.trial import FrozenTrial, TrialState


def of(told: Sequence[FrozenTrial], sampler: BaseSampler, objectives: int = 1) -> Study:
    """A study, to be asked once, of trials with numbers from 1 on that rise."""
    directions = [StudyDirection.MINIMIZE] * objectives
    return create_study(storage=_Told(told), sampler=sampler, directions=directions)


class JointTPE(TPESampler):
    """TPE that is told which axes all trials have, and does not look through them for it."""

    def __init__(self, joint: Mapping[str, BaseDistribution], seed: int, startup: int) -> None:
        super().__init__(seed=seed, n_startup_trials=startup)
        self._joint = dict(joint)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # Of several objectives it models one axis at a time.
        if len(study.directions) > 1:
            return super().infer_relative_search_space(study, trial)
        return self._joint


class _Told(InMemoryStorage):
    """The trials told, and as number 0 the one that is asked for."""

    def __init__(self, told: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._told = told

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        asked: list[FrozenTrial] = super().get_all_trials(study_id, deepcopy, states)
        return asked + [each for each in self._told if states is None or each.state in states]
