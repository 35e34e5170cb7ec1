"""Fates of trials: their order, and what each means in words."""

from collections import Counter
from collections.abc import Iterable, Sequence

from search.ledger.trial import TrialRecord
from search.reporting.snapshot import displayed_state

FATES = ("complete", "running", "paused", "interrupted", "stopped", "killed", "failed")
"""What can have become of a trial, as `spksearch trials` and MLflow's tag `state` say it."""

MEANINGS = {
    "complete": "trained to the last rung",
    "running": "is training now",
    "paused": "waits at a rung, and may still advance",
    "interrupted": "was training when its driver ended; resuming the search goes on with it",
    "stopped": "stopped early: others were better at the same rung, or the budget was spent",
    "killed": "stopped by hand",
    "failed": "cannot be trained: see the failures",
}


def fate_of(trial: TrialRecord, status: str) -> str:
    """Return what has become of a trial in a search of this status."""
    return displayed_state(trial, status)


def count_fates(trials: Iterable[TrialRecord], status: str) -> dict[str, int]:
    """Return how many trials have each fate, without those that none has."""
    counts = Counter(fate_of(trial, status) for trial in trials)
    return {fate: counts[fate] for fate in FATES if counts[fate]}


def select_shown(trials: Sequence[TrialRecord], most: int) -> list[TrialRecord]:
    """Return at most so many trials: the best half of that, and of the others every n-th.

    The order is kept. A figure of thousands of lines would be a file of megabytes.
    """
    if len(trials) <= most:
        return list(trials)
    by_eer = sorted(trials, key=lambda trial: min(map(trial.at, trial.reports), default=2.0))
    best = {trial.trial for trial in by_eer[: most // 2]}
    others = by_eer[most // 2 :]
    places = most - most // 2
    thinned = {others[place * len(others) // places].trial for place in range(places)}
    return [trial for trial in trials if trial.trial in best or trial.trial in thinned]
