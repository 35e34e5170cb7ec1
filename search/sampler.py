"""What to try next: Optuna, told anew each time what became of everything.

A suggestion is a function of the ledger's state and a seed. No Optuna study outlives the call, so
nothing has to be restored and nothing can disagree with the ledger.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from search import priors, tell
from search.errors import UsageProblem
from search.scheduler import Rule, standing
from search.state import SearchState
from search.walk import Space
from spkmodel.config import TrainConfig

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Kind = Literal["tpe", "random"]

ENOUGH_RESULTS = 12
"""A rung is modelled once it has this many; Optuna's TPE starts at 10."""

STARTUP = 10
"""Results before TPE begins; until then, chance."""

_TRIES = 20


@dataclass(frozen=True)
class Suggestion:
    """A trial to be."""

    axes: dict[str, Any]
    distributions: dict[str, str]
    """By axis, as Optuna's JSON."""
    config: TrainConfig
    origin: str = "sampler"


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
    own = tell.own(state, rung, rule)
    of_prior = 0.0
    if state.prior is not None and state.prior.points and kind == "tpe":
        of_prior = priors.share(state, standing(state, rung, rule))
    for attempt in range(_TRIES):
        chance = _derived(seed, len(state.trials), attempt)
        if state.prior is not None and _derived(chance, "prior") < of_prior * 2**32:
            suggestion = _ask(space, tell.prior(state.prior), _sampler("tpe", chance, startup=1))
            suggestion = replace(suggestion, origin=priors.ORIGIN)
        else:
            suggestion = _ask(space, own, _sampler(kind, chance), len(rule.objectives))
        config = suggestion.config.model_copy(update={"seed": seed})
        if config.signature not in tried:
            return replace(suggestion, config=config)
    return None


def completed(space: Space, axes: Mapping[str, Any], seed: int) -> Suggestion:
    """A point of the space with these answers, and by chance those that are not known.

    Raises:
        UsageProblem: if the space cannot build it.
    """
    suggestion = _ask(space, [], _sampler("random", _derived(seed, axes)), fixed=axes)
    return replace(suggestion, config=suggestion.config.model_copy(update={"seed": seed}))


def model_rung(state: SearchState, rule: Rule) -> int:
    """The highest rung with enough results to model, else the lowest."""
    for rung in reversed(rule.rungs):
        results = sum(math.isfinite(trial.at(rung)) for trial in state.trials.values())
        if results >= ENOUGH_RESULTS:
            return rung
    return rule.rungs[0]


def _ask(
    space: Space,
    told: list["FrozenTrial"],
    sampler: "BaseSampler",
    objectives: int = 1,
    fixed: Mapping[str, Any] | None = None,
) -> Suggestion:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
    study.add_trials(told)
    if fixed:
        study.enqueue_trial(dict(fixed))
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


def _sampler(kind: Kind, seed: int, startup: int = STARTUP) -> "BaseSampler":
    import optuna

    match kind:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)


def _derived(*parts: object) -> int:
    """A seed for Optuna that differs with every part."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
