"""Convert a search's trials and a prior's points to Optuna's trials.

Trials are compared at one rung. With one objective, TPE ranks pruned trials behind all complete
ones, by their last step first and then by value. With two objectives TPE has no pruned trials: a
trial that did not reach the rung gets the worst value of those that did, or its own value at a
lower rung, whichever is worse.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.ledger.events import Prior
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler.policy import AshaPolicy

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_WORST_EER = 1.0

_TRAINS = "trains"
"""Name of the constraint that a config can be trained; its value is above 0 if it cannot."""


@dataclass(frozen=True, slots=True)
class RungReference:
    """What the conversion of a trial depends on, beside its own record."""

    rung: int
    policy: AshaPolicy
    worst_eer: float = _WORST_EER
    """With two objectives: the highest EER at the rung."""
    worst_size: float = 1.0
    """With two objectives: the size of the largest encoder."""

    @classmethod
    def from_state(cls, state: SearchState, rung: int, policy: AshaPolicy) -> "RungReference":
        """Return the reference for all trials of a search, compared at `rung`."""
        if len(policy.objectives) == 1:
            return cls(rung, policy)
        trials = state.trials.values()
        results = [trial.at(rung) for trial in trials if math.isfinite(trial.at(rung))]
        sizes = [size for trial in trials for size in trial.sizes(policy.objectives[1:])]
        return cls(
            rung, policy, max(results, default=0.0), max(filter(math.isfinite, sizes), default=1.0)
        )


def to_frozen_trial(trial: TrialRecord, reference: RungReference, number: int) -> "FrozenTrial":
    """Return a trial of a search as Optuna's, with as many values as the search has objectives.

    Args:
        trial: of the search.
        reference: the rung at which trials are compared, and the worst values there.
        number: its number among all trials, from 1: TPE gives later trials more weight.
    """
    # TPE handles pruned trials and constraints in different ways for one objective and for several.
    if len(reference.policy.objectives) == 1:
        outcome = _single_objective_outcome(trial, reference)
    else:
        outcome = _two_objective_outcome(trial, reference)
    # A queued trial may have axes of a notebook, which are in no space and have no distribution.
    axes = {name: trial.axes[name] for name in trial.distributions}
    return _create_frozen_trial(number, axes, trial.distributions, **outcome)


def prior_to_frozen_trials(prior: Prior) -> list["FrozenTrial"]:
    """Return the points of a prior as Optuna's trials; the value of each is its rank, from 0."""
    from optuna.trial import TrialState

    return [
        _create_frozen_trial(
            rank + 1, point.axes, point.distributions, state=TrialState.COMPLETE, value=rank
        )
        for rank, point in enumerate(prior.points)
    ]


def _single_objective_outcome(trial: TrialRecord, reference: RungReference) -> dict[str, Any]:
    """Return Optuna's state and values of a trial, in a search for the lowest EER.

    A trial that did not reach the rung is pruned, with its values at lower rungs. One that could
    not be trained violates a constraint, which ranks it last of all, so that its region is avoided
    (if it were left out, TPE would find nothing there, and be drawn to it). One that was stopped
    by hand before any result is left out.
    """
    from optuna.trial import TrialState

    value, lower = trial.at(reference.rung), _lower_rung_values(trial, reference)
    if is_verdict_on_config(trial):
        return {"state": TrialState.PRUNED, "constraints": _constraint_violation(trial)}
    if math.isfinite(value):
        values = lower | {reference.rung: value}
        return {"state": TrialState.COMPLETE, "value": value, "intermediate_values": values}
    if lower:
        return {"state": TrialState.PRUNED, "intermediate_values": lower}
    return {"state": _state_without_result(trial)}


def _two_objective_outcome(trial: TrialRecord, reference: RungReference) -> dict[str, Any]:
    """Return Optuna's state and values of a trial, in a search for a low EER and a small encoder.

    A trial that could not be trained violates a constraint, and gets the worst EER and the largest
    size. The value of a size is its logarithm: half the size counts the same at any size.
    """
    from optuna.trial import TrialState

    (size,) = trial.sizes(reference.policy.objectives[1:])
    value, lower = trial.at(reference.rung), _lower_rung_values(trial, reference)
    violated = _constraint_violation(trial) if is_verdict_on_config(trial) else None
    if violated is not None:
        value, size = _WORST_EER, reference.worst_size
    elif not math.isfinite(value) and lower:
        value = max(reference.worst_eer, lower[max(lower)])
    if not math.isfinite(value):
        return {"state": _state_without_result(trial)}
    size = size if math.isfinite(size) else reference.worst_size
    values = [value, math.log10(size)]
    return {"state": TrialState.COMPLETE, "values": values, "constraints": violated}


def _lower_rung_values(trial: TrialRecord, reference: RungReference) -> dict[int, float]:
    """Return the trial's finite EERs at lower rungs."""
    lower = {rung: trial.at(rung) for rung in reference.policy.rungs if rung < reference.rung}
    return {rung: value for rung, value in lower.items() if math.isfinite(value)}


def _state_without_result(trial: TrialRecord) -> Any:
    from optuna.trial import TrialState

    return TrialState.RUNNING if trial.state in ("running", "paused") else TrialState.FAIL


def _create_frozen_trial(
    number: int, axes: dict[str, Any], distributions: dict[str, str], **outcome: Any
) -> "FrozenTrial":
    import optuna

    trial = optuna.trial.create_trial(
        params=axes,
        distributions={name: parse_distribution(text) for name, text in distributions.items()},
        **outcome,
    )
    # Optuna numbers a trial when it is added to a study; these never are (`optuna_study`).
    trial.number = number
    return trial


def joint_space(spaces: Iterable[Iterable[tuple[str, str]]]) -> "dict[str, BaseDistribution]":
    """Return the axes, by name, that all spaces have with the same range of more than one value."""
    found: dict[str, BaseDistribution] | None = None
    for each in spaces:
        space = {name: parse_distribution(text) for name, text in each}
        if found is None:
            found = space
        found = {name: which for name, which in found.items() if space.get(name) == which}
    return {name: which for name, which in sorted((found or {}).items()) if not which.single()}


@lru_cache(maxsize=1000)
def parse_distribution(text: str) -> "BaseDistribution":
    """Return the range of a parameter, recorded as Optuna's JSON."""
    import optuna

    return optuna.distributions.json_to_distribution(text)


def is_learnt_from(trial: "FrozenTrial | None") -> bool:
    """Return whether TPE learns from a trial of Optuna's."""
    from optuna.trial import TrialState

    return trial is not None and trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def is_verdict_on_config(trial: TrialRecord) -> bool:
    """Return whether the config was not trainable: it failed, or ran out of memory at once."""
    return trial.state == "failed" or (trial.needs_exclusive_memory and not trial.reports)


def _constraint_violation(trial: TrialRecord) -> dict[str, float]:
    """Return how far the config is from one that trains: the fewer epochs, the further."""
    return {_TRAINS: 1 / (1 + trial.epoch)}
