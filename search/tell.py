"""What Optuna is told of trials and of points of a prior, as trials of its own.

A search is judged at one rung. With one objective, TPE ranks pruned trials behind all complete
ones, by their last step first and then by value. With two it knows no pruned ones: a trial that did
not come as far as the rung is told to be as bad there as the worst that did, or as it was lower
down, whichever is worse.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.priors import Prior
from search.scheduler import Rule
from search.state import SearchState, TrialRecord

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_BEFORE_ANY_EPOCH = 0
_WORST_EER = 1.0


def own(state: SearchState, rung: int, rule: Rule) -> list["FrozenTrial"]:
    """All trials of a search, judged at `rung`."""
    trials = list(state.trials.values())
    if len(rule.objectives) == 1:
        return [one(trial, rung, rule) for trial in trials]
    results = [trial.at(rung) for trial in trials if math.isfinite(trial.at(rung))]
    sizes = [size for trial in trials for size in trial.sizes(rule.objectives[1:])]
    worst = (max(results, default=0.0), max(filter(math.isfinite, sizes), default=1.0))
    return [both(trial, rung, rule, worst) for trial in trials]


def prior(points: Prior) -> list["FrozenTrial"]:
    """The points of a prior, each as good as its place."""
    from optuna.trial import TrialState

    return [
        _frozen(point.axes, point.distributions, state=TrialState.COMPLETE, value=float(place))
        for place, point in enumerate(points.points)
    ]


def one(trial: TrialRecord, rung: int, rule: Rule) -> "FrozenTrial":
    """One trial of a search for the lowest EER.

    One that did not come as far as the rung is pruned with its values on the way; one that diverged
    or collapsed is pruned before any epoch at the worst EER, last of all, and its region is
    avoided; one that crashed says nothing about its config and is ignored.
    """
    from optuna.trial import TrialState

    value = trial.at(rung)
    on_the_way = _on_the_way(trial, rung, rule)
    told: dict[str, Any]
    if _is_verdict_on_config(trial):
        told = {"state": TrialState.PRUNED, "intermediate_values": {_BEFORE_ANY_EPOCH: _WORST_EER}}
    elif math.isfinite(value):
        told = {
            "state": TrialState.COMPLETE,
            "value": value,
            "intermediate_values": on_the_way | {rung: value},
        }
    elif on_the_way:
        told = {"state": TrialState.PRUNED, "intermediate_values": on_the_way}
    else:
        told = {"state": _without_result(trial)}
    return _of_trial(trial, **told)


def both(trial: TrialRecord, rung: int, rule: Rule, worst: tuple[float, float]) -> "FrozenTrial":
    """One trial of a search for a low EER and a small encoder.

    One that diverged or collapsed has the worst EER and the size of the largest, so that anything
    dominates it. Of sizes the logarithm is told: halving counts the same at any size.

    Args:
        trial: to be told.
        rung: where it is judged.
        rule: of the search.
        worst: the highest EER at the rung, and the size of the largest encoder.
    """
    from optuna.trial import TrialState

    (size,) = trial.sizes(rule.objectives[1:])
    value, on_the_way = trial.at(rung), _on_the_way(trial, rung, rule)
    if _is_verdict_on_config(trial):
        value, size = _WORST_EER, worst[1]
    elif not math.isfinite(value) and on_the_way:
        value = max(worst[0], on_the_way[max(on_the_way)])
    if not math.isfinite(value):
        return _of_trial(trial, state=_without_result(trial))
    size = size if math.isfinite(size) else worst[1]
    return _of_trial(trial, state=TrialState.COMPLETE, values=[value, math.log10(size)])


def _on_the_way(trial: TrialRecord, rung: int, rule: Rule) -> dict[int, float]:
    """Its EERs at lower rungs."""
    return {r: trial.at(r) for r in rule.rungs if r < rung and math.isfinite(trial.at(r))}


def _without_result(trial: TrialRecord) -> Any:
    from optuna.trial import TrialState

    return TrialState.RUNNING if trial.state in ("running", "paused") else TrialState.FAIL


def _of_trial(trial: TrialRecord, **told: Any) -> "FrozenTrial":
    # A trial that was wished for may have axes that are no space's.
    axes = {name: trial.axes[name] for name in trial.distributions}
    return _frozen(axes, trial.distributions, **told)


def _frozen(axes: dict[str, Any], distributions: dict[str, str], **told: Any) -> "FrozenTrial":
    import optuna

    return optuna.trial.create_trial(
        params=axes,
        distributions={name: _distribution(text) for name, text in distributions.items()},
        **told,
    )


@lru_cache(maxsize=1000)
def _distribution(text: str) -> "BaseDistribution":
    import optuna

    return optuna.distributions.json_to_distribution(text)


def _is_verdict_on_config(trial: TrialRecord) -> bool:
    """Whether it failed because of what it was, and not of what happened to it."""
    return trial.failure in ("diverged", "collapsed")
