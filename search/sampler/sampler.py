"""Suggest the next config with Optuna, from a study that is built anew for each suggestion.

A suggestion is a function of the ledger's state and a seed. No Optuna study outlives the call, so
nothing has to be restored and nothing can disagree with the ledger. The study's inputs may be
cached from one call to the next (`search.sampler.history`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from search.core.errors import UsageError
from search.ledger.events import Prior
from search.ledger.kinds import Strategy
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

STARTUP = 10
"""Results before TPE begins; until then, suggestions are random."""

_TRIES = 20
"""Suggestions of the model that may all have been tried; then configs are drawn at random."""

_RANDOM_TRIES = 100
"""So many of those, until the space counts as exhausted."""


@dataclass(frozen=True)
class Suggestion:
    """A config to try, and the values of the space's parameters that give it."""

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
    strategy: Strategy = "tpe",
    history: SamplerHistory | None = None,
) -> Suggestion | None:
    """Return a config that has not been tried; None if none is found, since the space is small.

    Args:
        space: run with Optuna's answers.
        state: of the search.
        policy: of the search.
        seed: the search's: it decides what is suggested, and how the config is trained.
        strategy: `random`, or TPE and at which rung it models the trials (`MODEL_RULES`).
        history: cached inputs from earlier suggestions of the same state; it only saves time.

    Raises:
        UsageError: if the space cannot build a config from the answers.
    """
    history = (history or SamplerHistory(state)).refresh(policy)
    is_random = strategy == "random"
    rung = 0 if is_random else history.model_rung(strategy)
    is_modelled = not is_random and history.is_modelled(rung, strategy)
    # Without trials, TPE draws at random.
    trials = history.select_modelled(rung) if is_modelled else []
    for attempt in range(_TRIES + _RANDOM_TRIES):
        # Every attempt has a seed of its own: the same seed would suggest the same config again.
        chance = _derive_seed(seed, len(state.trials), attempt)
        # A model keeps to where it is good, and would call a small space exhausted that is not.
        is_random = is_random or attempt >= _TRIES
        if not is_random and _is_drawn_from_prior(state, history.ranking(rung), chance):
            assert state.prior is not None
            suggestion = _suggest_from_prior(space, state.prior, chance)
        else:
            known = [] if is_random else trials
            sampler = _create_sampler(
                "random" if is_random else strategy, chance, history.joint_space() if known else {}
            )
            suggestion = _ask(space, known, sampler, len(policy.objectives))
        config = suggestion.config.model_copy(update={"seed": seed})
        if config.signature not in history.tried:
            return replace(suggestion, config=config)
    return None


def _is_drawn_from_prior(state: SearchState, ranking: Sequence[str], chance: int) -> bool:
    """Return whether the suggestion is drawn from the prior, by chance."""
    if state.prior is None or not state.prior.points:
        return False
    drawn = _derive_seed(chance, "prior") / 2**32
    # The upper bound comes first since it needs no look at the trials.
    return drawn < priors.max_prior_probability(state) and drawn < priors.prior_probability(
        state, ranking
    )


def _suggest_from_prior(space: Space, prior: Prior, chance: int) -> Suggestion:
    # In a study of its own: among the search's trials, its ranks would count as EERs.
    trials = optuna_trials.prior_to_frozen_trials(prior)
    joint = optuna_trials.joint_space(point.distributions.items() for point in prior.points)
    sampler = _create_sampler("tpe", chance, joint, 1)
    return replace(_ask(space, trials, sampler), origin=priors.ORIGIN)


def complete_point(space: Space, axes: Mapping[str, Any], seed: int) -> Suggestion:
    """Return a point of the space with the given answers, and random answers to all other axes.

    Raises:
        UsageError: if the space cannot build it.
    """
    suggestion = _ask(
        space, [], _create_sampler("random", _derive_seed(seed, axes), {}), fixed=axes
    )
    return replace(suggestion, config=suggestion.config.model_copy(update={"seed": seed}))


def _ask(
    space: Space,
    trials: list["FrozenTrial"],
    sampler: "BaseSampler",
    objectives: int = 1,
    fixed: Mapping[str, Any] | None = None,
) -> Suggestion:
    import optuna

    from search.sampler import optuna_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna_study.create_list_study(trials, sampler, objectives)
    if fixed:
        study.enqueue_trial(dict(fixed))
    trial = study.ask()
    try:
        config = space.function(trial)
    except ValueError as error:
        raise UsageError(f"space {space.name!r} with {trial.params}: {error}") from error
    distributions = {
        name: optuna.distributions.distribution_to_json(distribution)
        for name, distribution in trial.distributions.items()
    }
    return Suggestion(trial.params, distributions, config)


def _create_sampler(
    strategy: Strategy, seed: int, joint: Mapping[str, "BaseDistribution"], startup: int = STARTUP
) -> "BaseSampler":
    import optuna

    from search.sampler import optuna_study

    match strategy:
        case "tpe" | "early_tpe":
            return optuna_study.JointTPE(joint, seed, startup)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)


def _derive_seed(*parts: object) -> int:
    """Return a seed for Optuna that differs with every part."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
