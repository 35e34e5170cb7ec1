"""What Optuna is told of trials and of points of a prior, as trials of its own.

A search is judged at one rung. With one objective, TPE ranks pruned trials behind all complete
ones, by their last step first and then by value. With two it knows no pruned ones: a trial that did
not come as far as the rung is told to be as bad there as the worst that did, or as it was lower
down, whichever is worse.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler.prior import Prior
from search.scheduler.policy import AshaPolicy

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_WORST_EER = 1.0

_TRAINS = "trains"
"""The constraint that a config can be trained; above 0 where it could not."""


@dataclass(frozen=True, slots=True)
class RungReference:
    """What a trial is told by, beside its own record."""

    rung: int
    policy: AshaPolicy
    worst_eer: float = _WORST_EER
    """Of two objectives: the highest EER at the rung."""
    worst_size: float = 1.0
    """Of two objectives: the size of the largest encoder."""


def rung_reference(state: SearchState, rung: int, policy: AshaPolicy) -> RungReference:
    """What all trials of a search are told by, if they are judged at `rung`."""
    if len(policy.objectives) == 1:
        return RungReference(rung, policy)
    trials = state.trials.values()
    results = [trial.at(rung) for trial in trials if math.isfinite(trial.at(rung))]
    sizes = [size for trial in trials for size in trial.sizes(policy.objectives[1:])]
    return RungReference(
        rung, policy, max(results, default=0.0), max(filter(math.isfinite, sizes), default=1.0)
    )


def to_frozen_trial(trial: TrialRecord, by: RungReference, number: int) -> "FrozenTrial":
    """One trial of a search, with as many values as the search has objectives.

    Args:
        trial: of the search.
        by: what it is told by.
        number: its place among all trials, from 1: TPE heeds the later ones more.
    """
    told = _of_one(trial, by) if len(by.policy.objectives) == 1 else _of_both(trial, by)
    # A trial that was wished for may have axes that are no space's.
    axes = {name: trial.axes[name] for name in trial.distributions}
    return _frozen(number, axes, trial.distributions, **told)


def prior(points: Prior) -> list["FrozenTrial"]:
    """The points of a prior, each as good as its place."""
    from optuna.trial import TrialState

    return [
        _frozen(place + 1, point.axes, point.distributions, state=TrialState.COMPLETE, value=place)
        for place, point in enumerate(points.points)
    ]


def _of_one(trial: TrialRecord, by: RungReference) -> dict[str, Any]:
    """One trial of a search for the lowest EER.

    One that did not come as far as the rung is pruned with its values on the way; one that could
    not be trained violates a constraint, which ranks it last of all, and its region is avoided (if
    it were ignored, TPE would take its region for one where nothing is known, and be drawn to it);
    one that was stopped by hand before any result is ignored.
    """
    from optuna.trial import TrialState

    value, on_the_way = trial.at(by.rung), _on_the_way(trial, by)
    if is_verdict_on_config(trial):
        return {"state": TrialState.PRUNED, "constraints": _violated(trial)}
    if math.isfinite(value):
        values = on_the_way | {by.rung: value}
        return {"state": TrialState.COMPLETE, "value": value, "intermediate_values": values}
    if on_the_way:
        return {"state": TrialState.PRUNED, "intermediate_values": on_the_way}
    return {"state": _without_result(trial)}


def _of_both(trial: TrialRecord, by: RungReference) -> dict[str, Any]:
    """One trial of a search for a low EER and a small encoder.

    One that could not be trained violates a constraint, and has the worst EER and the size of the
    largest. Of sizes the logarithm is told: halving counts the same at any size.
    """
    from optuna.trial import TrialState

    (size,) = trial.sizes(by.policy.objectives[1:])
    value, on_the_way = trial.at(by.rung), _on_the_way(trial, by)
    violated = _violated(trial) if is_verdict_on_config(trial) else None
    if violated is not None:
        value, size = _WORST_EER, by.worst_size
    elif not math.isfinite(value) and on_the_way:
        value = max(by.worst_eer, on_the_way[max(on_the_way)])
    if not math.isfinite(value):
        return {"state": _without_result(trial)}
    size = size if math.isfinite(size) else by.worst_size
    values = [value, math.log10(size)]
    return {"state": TrialState.COMPLETE, "values": values, "constraints": violated}


def _on_the_way(trial: TrialRecord, by: RungReference) -> dict[int, float]:
    """Its EERs at lower rungs."""
    lower = {rung: trial.at(rung) for rung in by.policy.rungs if rung < by.rung}
    return {rung: value for rung, value in lower.items() if math.isfinite(value)}


def _without_result(trial: TrialRecord) -> Any:
    from optuna.trial import TrialState

    return TrialState.RUNNING if trial.state in ("running", "paused") else TrialState.FAIL


def _frozen(
    number: int, axes: dict[str, Any], distributions: dict[str, str], **told: Any
) -> "FrozenTrial":
    import optuna

    trial = optuna.trial.create_trial(
        params=axes,
        distributions={name: _distribution(text) for name, text in distributions.items()},
        **told,
    )
    trial.number = number
    return trial


def joint(spaces: Iterable[Iterable[tuple[str, str]]]) -> "dict[str, BaseDistribution]":
    """The axes, by name, that all of these have with the same range, of which there is a choice."""
    found: dict[str, BaseDistribution] | None = None
    for each in spaces:
        space = {name: _distribution(text) for name, text in each}
        if found is None:
            found = space
        found = {name: which for name, which in found.items() if space.get(name) == which}
    return {name: which for name, which in sorted((found or {}).items()) if not which.single()}


@lru_cache(maxsize=1000)
def _distribution(text: str) -> "BaseDistribution":
    import optuna

    return optuna.distributions.json_to_distribution(text)


def is_learnt_from(told: "FrozenTrial | None") -> bool:
    """Whether TPE learns from a trial that is told like this."""
    from optuna.trial import TrialState

    return told is not None and told.state in (TrialState.COMPLETE, TrialState.PRUNED)


def is_verdict_on_config(trial: TrialRecord) -> bool:
    """Whether it was given up, or has to wait for memory without any result."""
    return trial.state == "failed" or (trial.needs_exclusive_memory and not trial.reports)


def _violated(trial: TrialRecord) -> dict[str, float]:
    """How far its config is from one that trains: the fewer epochs it came to, the further."""
    return {_TRAINS: 1 / (1 + trial.epoch)}
