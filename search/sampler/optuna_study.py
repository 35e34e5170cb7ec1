"""Create Optuna studies that read their trials from a given list.

Optuna copies and checks every trial that is added to a study. With thousands of trials, at every
suggestion, that takes longer than the suggestion. A study made here reads the list without copies.
"""

from collections.abc import Container, Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection, create_study
from optuna.trial import FrozenTrial, TrialState


def create_list_study(
    trials: Sequence[FrozenTrial], sampler: BaseSampler, objectives: int = 1
) -> Study:
    """Return a study of trials with rising numbers from 1 on; it may be asked once."""
    directions = [StudyDirection.MINIMIZE] * objectives
    return create_study(storage=_ListStorage(trials), sampler=sampler, directions=directions)


class JointTPE(TPESampler):
    """TPE with a given joint search space, instead of a search through all trials for it."""

    def __init__(self, joint: Mapping[str, BaseDistribution], seed: int, startup: int) -> None:
        super().__init__(seed=seed, n_startup_trials=startup)
        self._joint = dict(joint)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        # With several objectives TPE models one axis at a time, as without this class.
        if len(study.directions) > 1:
            return super().infer_relative_search_space(study, trial)
        return self._joint


class _ListStorage(InMemoryStorage):
    """Holds the given trials, and as number 0 the one that is asked for."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._given = trials

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        asked: list[FrozenTrial] = super().get_all_trials(study_id, deepcopy, states)
        return asked + [each for each in self._given if states is None or each.state in states]
