"""What to try next: Optuna, told anew each time what became of everything.

A suggestion is a function of the ledger's state and a seed. No Optuna study outlives the call, so
nothing has to be restored and nothing can disagree with the ledger. What is gathered from the state
for it may outlive it (`search.sampler.history`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from search.core.errors import UsageError
from search.ledger.state import SearchState
from search.sampler import optuna_trials
from search.sampler import prior as priors
from search.sampler.history import SamplerHistory
from search.scheduler.policy import AshaPolicy
from search.space.branches import Space
from spkmodel.config import TrainConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Kind = Literal["tpe", "random"]

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
    space: Space,
    state: SearchState,
    policy: AshaPolicy,
    seed: int,
    kind: Kind = "tpe",
    known: SamplerHistory | None = None,
) -> Suggestion | None:
    """A config that has not been tried; None if none is found, so small is the space.

    Args:
        space: asked with Optuna's answers.
        state: what is known of the search.
        policy: of the search.
        seed: the search's: it decides what is suggested, and how the config is trained.
        kind: of sampler.
        known: what was gathered from `state` for earlier suggestions; it saves time, no more.

    Raises:
        UsageError: if the space cannot build what it asked for.
    """
    known = (known or SamplerHistory(state)).look(policy)
    rung = known.model_rung()
    told = known.modelled(rung) if kind == "tpe" else []
    for attempt in range(_TRIES):
        chance = _derived(seed, len(state.trials), attempt)
        if kind == "tpe" and _is_for_prior(state, known.ranking(rung), chance):
            assert state.prior is not None
            suggestion = _of_prior(space, state.prior, chance)
        else:
            chosen = _sampler(kind, chance, known.joint() if told else {})
            suggestion = _ask(space, told, chosen, len(policy.objectives))
        config = suggestion.config.model_copy(update={"seed": seed})
        if config.signature not in known.tried:
            return replace(suggestion, config=config)
    return None


def _is_for_prior(state: SearchState, ranking: Sequence[str], chance: int) -> bool:
    """Whether the prior is asked for a suggestion, by chance."""
    if state.prior is None or not state.prior.points:
        return False
    drawn = _derived(chance, "prior") / 2**32
    return drawn < priors.fading(state) and drawn < priors.share(state, ranking)


def _of_prior(space: Space, prior: priors.Prior, chance: int) -> Suggestion:
    told = optuna_trials.prior(prior)
    joint = optuna_trials.joint(point.distributions.items() for point in prior.points)
    return replace(_ask(space, told, _sampler("tpe", chance, joint, 1)), origin=priors.ORIGIN)


def completed(space: Space, axes: Mapping[str, Any], seed: int) -> Suggestion:
    """A point of the space with these answers, and by chance those that are not known.

    Raises:
        UsageError: if the space cannot build it.
    """
    suggestion = _ask(space, [], _sampler("random", _derived(seed, axes), {}), fixed=axes)
    return replace(suggestion, config=suggestion.config.model_copy(update={"seed": seed}))


def _ask(
    space: Space,
    told: list["FrozenTrial"],
    sampler: "BaseSampler",
    objectives: int = 1,
    fixed: Mapping[str, Any] | None = None,
) -> Suggestion:
    import optuna

    from search.sampler import optuna_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = optuna_study.of(told, sampler, objectives)
    if fixed:
        asked.enqueue_trial(dict(fixed))
    trial = asked.ask()
    try:
        config = space.function(trial)
    except ValueError as error:
        raise UsageError(f"space {space.name!r} with {trial.params}: {error}") from error
    distributions = {
        name: optuna.distributions.distribution_to_json(distribution)
        for name, distribution in trial.distributions.items()
    }
    return Suggestion(trial.params, distributions, config)


def _sampler(
    kind: Kind, seed: int, joint: Mapping[str, "BaseDistribution"], startup: int = STARTUP
) -> "BaseSampler":
    import optuna

    from search.sampler import optuna_study

    match kind:
        case "tpe":
            return optuna_study.JointTPE(joint, seed, startup)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)


def _derived(*parts: object) -> int:
    """A seed for Optuna that differs with every part."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
