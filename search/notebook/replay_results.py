"""Collect what the trials of a replay reached, and evaluate the claims that they test."""

from dataclasses import dataclass
from typing import Literal

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.notebook.claims import ClaimResult, evaluate_claim
from search.notebook.replay_plan import ReplayPlan, queue_key
from spaces.logged import Entry


@dataclass(frozen=True)
class EntryResult:
    """One entry, as it was replayed with one seed."""

    entry: Entry
    seed: int
    trial: str | None
    state: Literal["waiting", "withdrawn"] | str
    reason: str
    metrics: dict[str, float]
    """After the last epoch."""
    best_dev_eer: float | None


def collect_results(plan: ReplayPlan, state: SearchState) -> list[EntryResult]:
    """Return a result for every entry and seed, trained or not."""
    return [_entry_result(plan, state, entry, seed) for entry, seed in plan.runs]


def _entry_result(plan: ReplayPlan, state: SearchState, entry: Entry, seed: int) -> EntryResult:
    key = queue_key(plan, entry.number, seed)
    trial = state.trials.get(state.begun.get(key, ""))
    if trial is None:
        reason = state.withdrawn.get(key, "")
        status = "withdrawn" if reason else "waiting"
        return EntryResult(entry, seed, None, status, reason, {}, None)
    best, last = trial.best(), trial.last
    return EntryResult(
        entry,
        seed,
        trial.trial,
        trial.state,
        trial.reason,
        dict(last.metrics) if last else {},
        best.objective if best else None,
    )


def evaluate_claims(plan: ReplayPlan, state: SearchState) -> list[ClaimResult]:
    """Return every claim of the replay with its verdict."""

    def find_trial(number: str, seed: int) -> TrialRecord | None:
        return state.trials.get(state.begun.get(queue_key(plan, number, seed), ""))

    return [evaluate_claim(claim, find_trial, range(plan.seeds)) for claim in plan.claims]
