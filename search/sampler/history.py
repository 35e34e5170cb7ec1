"""What the sampler goes by, kept from one suggestion to the next instead of gathered anew.

A fresh one knows the same: all of it is a function of the state (`search.sampler.optuna_trials`
says what Optuna is told of a trial, `search.scheduler.rung_index` who stands where). So a driver
that starts again suggests what one that went on would have suggested.
"""

from collections import Counter
from typing import TYPE_CHECKING

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler import optuna_trials
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_index import RungIndex

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

ENOUGH_RESULTS = 12
"""A rung is modelled once it has this many; Optuna's TPE starts at 10."""

MODELLED = 500
"""Trials that are modelled at most: every one of them costs time at every suggestion."""

_GOOD = 0.1
_MOST_GOOD = 25
"""TPE's own: which share of all trials is good, and with one objective how many at most."""


class SamplerHistory:
    """Follows a state; `look` before every question."""

    def __init__(self, state: SearchState, index: RungIndex | None = None) -> None:
        self._state = state
        self._index = RungIndex(state) if index is None else index
        self._policy: AshaPolicy | None = None
        self._read = 0
        self._yardstick: optuna_trials.RungReference | None = None
        self._told: dict[str, FrozenTrial] = {}
        self._stale: dict[str, None] = {}
        self._spaces: Counter[frozenset[tuple[str, str]]] = Counter()
        """How many have these axes and ranges, of those that TPE learns from."""
        self.tried: set[str] = set()
        """Signatures of all trials."""

    def look(self, policy: AshaPolicy) -> "SamplerHistory":
        """Take in what has happened since; what is known is then what a fresh one would know."""
        self._index.refresh(policy)
        known = self._state.trials
        touched = self._state.touched_since(self._read)
        self._read = len(self._state.touched)
        if policy != self._policy:
            self._policy, self._yardstick = policy, None
            touched = list(known)
        self._stale |= dict.fromkeys(touched)
        self.tried |= {known[name].signature for name in self._stale}
        return self

    def model_rung(self) -> int:
        """The highest rung with enough results to model, else the lowest."""
        rungs = self._of_rule.rungs
        enough = (r for r in reversed(rungs) if self._index.count_results(r) >= ENOUGH_RESULTS)
        return next(enough, rungs[0])

    def ranking(self, rung: int) -> list[str]:
        """The trials with a result at a rung, best first."""
        return self._index.ranking(rung)

    def told(self, rung: int) -> "list[FrozenTrial]":
        """All trials, judged at a rung, as Optuna is told of them; oldest first."""
        rung_reference = optuna_trials.rung_reference(self._state, rung, self._of_rule)
        if rung_reference != self._yardstick:
            self._yardstick = rung_reference
            self._told, self._stale = {}, dict.fromkeys(self._state.trials)
            self._spaces = Counter()
        for name in self._stale:
            self._tell(self._state.trials[name], rung_reference)
        self._stale = {}
        return list(self._told.values())

    def joint(self) -> "dict[str, BaseDistribution]":
        """The axes that all have of whom TPE learns, when last told."""
        return optuna_trials.joint(space for space, count in self._spaces.items() if count)

    def _tell(self, trial: TrialRecord, rung_reference: optuna_trials.RungReference) -> None:
        before = self._told.get(trial.trial)
        number = len(self._told) + 1 if before is None else before.number
        now = self._told[trial.trial] = optuna_trials.to_frozen_trial(trial, rung_reference, number)
        space = frozenset(trial.distributions.items())
        self._spaces[space] += optuna_trials.is_learnt_from(now) - optuna_trials.is_learnt_from(
            before
        )

    def modelled(self, rung: int, most: int | None = None) -> "list[FrozenTrial]":
        """Of all that are told, those that the model is made of; oldest first.

        The good ones are those that TPE would take as good among all; the others, whose density is
        all that matters, are thinned out evenly.
        """
        told, most = self.told(rung), MODELLED if most is None else most
        if len(told) <= most:
            return told
        good = self._good(rung, most)
        others = [trial for trial in told if trial.number not in good]
        room = most - len(good)
        thinned = [others[place * len(others) // room] for place in range(room)]
        return sorted(
            [*(told[number - 1] for number in good), *thinned], key=lambda trial: trial.number
        )

    def _good(self, rung: int, most: int) -> set[int]:
        """The numbers of the best: by the highest rung that they came to, then by their place."""
        one_aim = len(self._of_rule.objectives) == 1
        count = min(round(_GOOD * most), _MOST_GOOD) if one_aim else round(_GOOD * most)
        found: set[int] = set()
        for each in reversed([each for each in self._of_rule.rungs if each <= rung]):
            for name in self._index.ranking(each):
                if len(found) == count:
                    return found
                if not optuna_trials.is_verdict_on_config(self._state.trials[name]):
                    found.add(self._told[name].number)
        return found

    @property
    def _of_rule(self) -> AshaPolicy:
        assert self._policy is not None, "look first"
        return self._policy
