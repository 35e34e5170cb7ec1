"""What to try next: Optuna, told anew each time what became of everything.

A suggestion is a function of the ledger's state and a seed. No Optuna study outlives the call, so
nothing has to be restored and nothing can disagree with the ledger.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from search.errors import UsageProblem
from search.scheduler import Rule
from search.state import SearchState, TrialRecord
from search.walk import Space
from spkmodel.config import TrainConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Kind = Literal["tpe", "random"]

ENOUGH_RESULTS = 12
"""A rung is modelled once it has this many; Optuna's TPE starts at 10."""

_TRIES = 20
_BEFORE_ANY_EPOCH = 0
_WORST_EER = 1.0


@dataclass(frozen=True)
class Suggestion:
    """A trial to be."""

    axes: dict[str, Any]
    distributions: dict[str, str]
    """By axis, as Optuna's JSON."""
    config: TrainConfig


def suggest(
    space: Space, state: SearchState, rule: Rule, seed: int, kind: Kind = "tpe"
) -> Suggestion | None:
    """A config that has not been tried; None if none is found, so small is the space.

    `seed` is the search's: it decides what is suggested, and how the config is trained.

    Raises:
        UsageProblem: if the space cannot build what it asked for.
    """
    tried = {trial.signature for trial in state.trials.values()}
    rung = model_rung(state, rule)
    told = [_tell(trial, rung, rule) for trial in state.trials.values()]
    for attempt in range(_TRIES):
        suggestion = _ask(space, told, _derived(seed, len(state.trials), attempt), kind)
        config = suggestion.config.model_copy(update={"seed": seed})
        if config.signature not in tried:
            return replace(suggestion, config=config)
    return None


def model_rung(state: SearchState, rule: Rule) -> int:
    """The highest rung with enough results to model, else the lowest."""
    for rung in reversed(rule.rungs):
        results = sum(math.isfinite(trial.at(rung)) for trial in state.trials.values())
        if results >= ENOUGH_RESULTS:
            return rung
    return rule.rungs[0]


def _ask(space: Space, told: list["FrozenTrial"], seed: int, kind: Kind) -> Suggestion:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=_sampler(kind, seed))
    study.add_trials(told)
    trial = study.ask()
    try:
        config = space.function(trial)
    except ValueError as error:
        raise UsageProblem(f"space {space.name!r} with {trial.params}: {error}") from error
    distributions = {
        name: optuna.distributions.distribution_to_json(distribution)
        for name, distribution in trial.distributions.items()
    }
    return Suggestion(trial.params, distributions, config)


def _sampler(kind: Kind, seed: int) -> "BaseSampler":
    import optuna

    match kind:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)


def _tell(trial: TrialRecord, rung: int, rule: Rule) -> "FrozenTrial":
    """One trial as Optuna should see it, judged at `rung`.

    TPE ranks pruned trials behind all complete ones, by their last step first and then by value.
    So a trial that did not come as far as the rung is pruned with its values on the way; one that
    diverged or collapsed is pruned before any epoch at the worst EER, last of all, and its region
    is avoided; one that crashed says nothing about its config and is ignored.
    """
    import optuna
    from optuna.trial import TrialState

    value = trial.at(rung)
    on_the_way = {r: trial.at(r) for r in rule.rungs if r < rung and math.isfinite(trial.at(r))}
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
    elif trial.state in ("running", "paused"):
        told = {"state": TrialState.RUNNING}
    else:
        told = {"state": TrialState.FAIL}
    return optuna.trial.create_trial(
        # A trial that was wished for may have axes that are no space's.
        params={name: trial.axes[name] for name in trial.distributions},
        distributions={name: _distribution(text) for name, text in trial.distributions.items()},
        **told,
    )


@lru_cache(maxsize=1000)
def _distribution(text: str) -> "BaseDistribution":
    import optuna

    return optuna.distributions.json_to_distribution(text)


def _is_verdict_on_config(trial: TrialRecord) -> bool:
    """Whether it failed because of what it was, and not of what happened to it."""
    return trial.state == "failed" and trial.reason.startswith(("diverged", "collapsed"))


def _derived(*parts: int) -> int:
    """A seed for Optuna that differs with every part."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
