"""A study of Optuna's that holds trials which somebody else keeps.

Optuna copies and checks every trial that is added to a study: with thousands, at every suggestion,
that takes longer than the suggestion. Here it is handed a list, which it only reads.
"""

from collections.abc import Container, Sequence

from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection, create_study
from optuna.trial import FrozenTrial, TrialState


def of(told: Sequence[FrozenTrial], sampler: BaseSampler, objectives: int = 1) -> Study:
    """A study, to be asked once, of trials with numbers from 1 on that rise."""
    directions = [StudyDirection.MINIMIZE] * objectives
    return create_study(storage=_Told(told), sampler=sampler, directions=directions)


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
