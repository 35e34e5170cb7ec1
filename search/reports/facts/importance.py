"""How much each parameter decided which trials came out best.

PED-ANOVA of Optuna (Watanabe et al. 2023, arXiv:2304.10255; for conditional parameters
arXiv:2601.20800): the share of a parameter in the difference between the best trials and all. It
needs an order only, so trials that were stopped early count too: behind all that got further.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.sampler.optuna_trials import parse_distribution

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LEAST_RESULTS = 12
"""Trials with a result; of fewer, the best are too few to tell anything."""
REPLICATES = 40
_LEAST_BEST = 6
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""Of Optuna's trials, which must have one."""
_MOST_RESULTS = 500
"""Trials that are analysed at most: the newest; the time grows with their number."""


@dataclass(frozen=True)
class Importance:
    """A parameter's share of all importance, in [0, 1]."""

    parameter: str
    share: float
    low: float
    high: float
    """95 % interval, from trials drawn again with replacement."""
    trials: int
    """That have the parameter; fewer than all where it is asked for under a condition."""


@dataclass(frozen=True)
class ImportanceAnalysis:
    """The importance of every parameter, most important first; empty with a reason."""

    rows: tuple[Importance, ...]
    trials: int
    """With a result."""
    best: int
    """How many of them count as best."""
    why_not: str = ""


def rank_trials(state: SearchState) -> list[TrialRecord]:
    """Return the trials with a result: by the rung they reached, highest first, then by EER there.

    Trials below the first rung come last, by their best EER.
    """

    def key(trial: TrialRecord) -> tuple[int, float]:
        rung = max((r for r in state.rungs if trial.at(r) <= 1), default=0)
        best = trial.best()
        assert best is not None
        return -rung, trial.at(rung) if rung else best.objective

    usable = [trial for trial in state.trials.values() if trial.best() is not None]
    return sorted(usable, key=lambda trial: (*key(trial), trial.trial))


def describe_lack(results: int) -> str:
    """Return why so few results tell nothing about parameters."""
    have = "1 trial has" if results == 1 else f"{results or 'no'} trials have"
    return f"{have} a result; at least {LEAST_RESULTS} are needed"


def measure_importance(state: SearchState, seed: int = 0) -> ImportanceAnalysis:
    """Return the importance of each parameter with its interval; the same for the same ledger."""
    ranked = [trial for trial in rank_trials(state) if trial.distributions]
    count = len(ranked)
    best = min(count // 2, max(_LEAST_BEST, round(0.1 * count)))
    if count < LEAST_RESULTS:
        return ImportanceAnalysis((), count, best, describe_lack(count))
    if count > _MOST_RESULTS:
        newest = {trial.trial for trial in sorted(ranked, key=lambda t: t.trial)[-_MOST_RESULTS:]}
        ranked = [trial for trial in ranked if trial.trial in newest]
        count, best = len(ranked), round(0.1 * len(ranked))
    shares = _shares(ranked, range(count), best)
    draws = np.random.default_rng(seed).integers(0, count, (REPLICATES, count))
    replicates = [_shares(ranked, sorted(draw.tolist()), best) for draw in draws]
    rows = []
    for name, share in sorted(shares.items(), key=lambda each: (-each[1], each[0])):
        low, high = np.quantile([each.get(name, 0.0) for each in replicates], (0.025, 0.975))
        having = sum(name in trial.distributions for trial in ranked)
        bounds = min(share, float(low)), max(share, float(high))
        rows.append(Importance(name, share, *bounds, having))
    return ImportanceAnalysis(tuple(rows), count, best)


def _shares(ranked: Sequence[TrialRecord], chosen: Sequence[int], best: int) -> dict[str, float]:
    """Return the share of each parameter in some of the trials, given by rank, one maybe twice."""
    import optuna

    from search.sampler.optuna_study import create_list_study

    trials = [_to_optuna(ranked[rank], rank, place) for place, rank in enumerate(chosen, 1)]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = create_list_study(trials, optuna.samplers.RandomSampler())
    quantile = best / len(ranked)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of draws in which the best and all are the same
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    total = sum(found.values())
    return {name: float(value) / total if total > 0 else 0.0 for name, value in found.items()}


def _to_optuna(trial: TrialRecord, rank: int, number: int) -> "FrozenTrial":
    from optuna.trial import FrozenTrial, TrialState

    return FrozenTrial(
        number=number,
        trial_id=number,  # by which the evaluator tells trials apart
        state=TrialState.COMPLETE,
        value=float(rank),
        datetime_start=_ANY_TIME,
        datetime_complete=_ANY_TIME,
        params={name: trial.axes[name] for name in trial.distributions},
        distributions={
            name: parse_distribution(text) for name, text in trial.distributions.items()
        },
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
