"""Cache the sampler's inputs from one suggestion to the next.

A new cache of the same state gives the same inputs: all of them are functions of the state
(`search.sampler.optuna_trials` converts a trial for Optuna, `search.scheduler.rung_index` ranks
trials). So a driver that starts again suggests what one that went on would have suggested.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.ledger.kinds import Strategy
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler import optuna_trials
from search.sampler.optuna_trials import RungReference
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_index import RungIndex

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class ModelRule:
    """At which rung trials are modelled: the highest with enough results."""

    enough_results: int
    least_epochs: int
    """A rung of fewer epochs is not modelled where there is another: suggestions are random until
    a higher rung has its results."""


MODEL_RULES: dict[Strategy, ModelRule] = {
    "tpe": ModelRule(enough_results=6, least_epochs=2),
    "early_tpe": ModelRule(enough_results=12, least_epochs=1),
}
"""By strategy. What is best after one epoch is often not best in the end (decision 44)."""

MOST_MODELLED = 500
"""Trials that are modelled at most: every one of them costs time at every suggestion."""

_GOOD = 0.1
_MOST_GOOD = 25
"""Optuna's defaults: the share of trials that TPE counts as good; the most, with one objective."""


class SamplerHistory:
    """Caches the sampler's inputs for a state that grows; call `refresh` before every question."""

    def __init__(self, state: SearchState, index: RungIndex | None = None) -> None:
        self._state = state
        self._index = RungIndex(state) if index is None else index
        self._policy: AshaPolicy | None = None
        self._read = 0
        self._reference: RungReference | None = None
        self._frozen: dict[str, FrozenTrial] = {}
        self._stale: dict[str, None] = {}
        self._spaces: Counter[frozenset[tuple[str, str]]] = Counter()
        """Number of trials by their axes and ranges, of those that TPE learns from."""
        self.tried: set[str] = set()
        """Signatures of all trials."""

    def refresh(self, policy: AshaPolicy) -> "SamplerHistory":
        """Read what has changed since the last call; the inputs are then those of a new cache."""
        self._index.refresh(policy)
        trials = self._state.trials
        touched = self._state.touched_since(self._read)
        self._read = len(self._state.touched)
        if policy != self._policy:
            self._policy, self._reference = policy, None
            touched = list(trials)
        # Converted only when asked for: a random search never does.
        self._stale |= dict.fromkeys(touched)
        self.tried |= {trials[name].signature for name in self._stale}
        return self

    def model_rung(self, strategy: Strategy = "tpe") -> int:
        """Return the highest rung with enough results to model, else the lowest."""
        rungs, enough = self._current_policy.rungs, MODEL_RULES[strategy].enough_results
        full = (rung for rung in reversed(rungs) if self._index.count_results(rung) >= enough)
        return next(full, rungs[0])

    def is_modelled(self, rung: int, strategy: Strategy) -> bool:
        """Return whether suggestions are modelled at a rung: its ranks say enough."""
        # With a single rung there is nothing better to go by.
        is_only = len(self._current_policy.rungs) == 1
        return is_only or rung >= MODEL_RULES[strategy].least_epochs

    def ranking(self, rung: int) -> list[str]:
        """Return the trials with a result at a rung, best first."""
        return self._index.ranking(rung)

    def frozen_trials(self, rung: int) -> "list[FrozenTrial]":
        """Return all trials as Optuna's, compared at a rung; oldest first."""
        reference = RungReference.from_state(self._state, rung, self._current_policy)
        if reference != self._reference:
            # Every converted trial may depend on the reference, so none can be kept.
            self._reference = reference
            self._frozen, self._stale = {}, dict.fromkeys(self._state.trials)
            self._spaces = Counter()
        for name in self._stale:
            self._convert(self._state.trials[name], reference)
        self._stale = {}
        return list(self._frozen.values())

    def joint_space(self) -> "dict[str, BaseDistribution]":
        """Return the axes common to all trials that TPE learns from, as last converted."""
        return optuna_trials.joint_space(space for space, count in self._spaces.items() if count)

    def _convert(self, trial: TrialRecord, reference: RungReference) -> None:
        before = self._frozen.get(trial.trial)
        number = len(self._frozen) + 1 if before is None else before.number
        now = self._frozen[trial.trial] = optuna_trials.to_frozen_trial(trial, reference, number)
        if not trial.competes:
            return  # it has no axes, and would leave none that all have in common
        space = frozenset(trial.distributions.items())
        self._spaces[space] += optuna_trials.is_learnt_from(now) - optuna_trials.is_learnt_from(
            before
        )

    def select_modelled(self, rung: int, most: int | None = None) -> "list[FrozenTrial]":
        """Return the trials that the model is made of; oldest first.

        All trials that TPE would count as good are kept. Of the others, only the density matters,
        so they are thinned out evenly.
        """
        trials, most = self.frozen_trials(rung), MOST_MODELLED if most is None else most
        if len(trials) <= most:
            return trials
        good = self._good_numbers(rung, most)
        others = [trial for trial in trials if trial.number not in good]
        places = most - len(good)
        thinned = [others[place * len(others) // places] for place in range(places)]
        return sorted(
            [*(trials[number - 1] for number in good), *thinned], key=lambda trial: trial.number
        )

    def _good_numbers(self, rung: int, most: int) -> set[int]:
        """Return the numbers of the best trials, by their highest rung, then by rank there."""
        count = round(_GOOD * most)
        if len(self._current_policy.objectives) == 1:
            count = min(count, _MOST_GOOD)
        found: set[int] = set()
        for each in reversed([each for each in self._current_policy.rungs if each <= rung]):
            for name in self._index.ranking(each):
                if len(found) == count:
                    return found
                if not optuna_trials.is_verdict_on_config(self._state.trials[name]):
                    found.add(self._frozen[name].number)
        return found

    @property
    def _current_policy(self) -> AshaPolicy:
        assert self._policy is not None, "refresh first"
        return self._policy
