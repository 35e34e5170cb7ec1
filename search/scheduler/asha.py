"""Decide which trials advance and which stop: the rule of ASHA.

ASHA is successive halving without waiting for a whole rung (Li et al. 2020, arXiv:1810.05934). Its
two forms differ in when a trial is compared. "promotion" (algorithm 2 of the paper): a trial pauses
at every rung, and advances as soon as it is among the best 1/eta of all that reached the rung.
"stopping": a trial is compared once, on its arrival at a rung, and stops there unless it advances.

ASHA's papers say "promote" for going to the next rung; here that is `advance`, since `promote`
registers a model.

With a second objective, "best" is decided front by front (`search.scheduler.pareto`): a small
network need not be better than a large one, only than others of its size.

Everything here is a pure function of the state. What a free slot runs next is decided by
`search.scheduler.next_job`.
"""

import math
from dataclasses import dataclass

from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.scheduler.policy import (
    AshaPolicy,
    TrialOutcome,
    awaits_end,
    is_open,
    must_advance_or_stop,
    terminal_state,
)
from search.scheduler.rung_queries import RungQueries, StateScan


@dataclass(frozen=True, slots=True)
class Advance:
    """Train a trial on, to the next rung."""

    trial: str
    to_rung: int


def find_advances(
    state: SearchState, policy: AshaPolicy, queries: RungQueries | None = None
) -> list[Advance]:
    """Return the trials that may advance now: highest rung first, best first within a rung."""
    queries = queries or StateScan(state, policy)
    found: list[Advance] = []
    # `closed` says that no other trial can come to the rung: all trials are there, and none is on
    # its way from below. A queued trial whose weights are there adds one, whatever the budget says.
    closed = policy.trials is not None and len(state.trials) >= policy.trials
    closed = closed and not any(can_start(state, queued) for queued in state.queue.values())
    for rung, next_rung in zip(policy.rungs, policy.rungs[1:], strict=False):
        closed = closed and not queries.any_may_still_reach(rung)
        quota = _advancing_quota(queries.count_results(rung), policy, closed)
        here = [Advance(trial.trial, next_rung) for trial in queries.paused_among_best(rung, quota)]
        # Who advances from here comes to the next rung, so that one is not closed yet.
        closed = closed and not here
        # A trial near the end is worth more than a new result at a low rung: highest rung first.
        found = here + found
    return found


def find_outcomes(
    state: SearchState, policy: AshaPolicy, queries: RungQueries | None = None
) -> list[TrialOutcome]:
    """Return the outcomes that have come about since the last event and are not recorded yet."""
    queries = queries or StateScan(state, policy)
    due = [trial for trial in queries.outcome_candidates() if awaits_end(trial) and not trial.live]
    found = [
        terminal_state(trial, policy) or _outcome_on_arrival(state, trial, policy, queries)
        for trial in due
    ]
    return [outcome for outcome in found if outcome is not None]


def find_final_outcomes(
    state: SearchState, policy: AshaPolicy, why: str, queries: RungQueries | None = None
) -> list[TrialOutcome]:
    """Return the outcomes of all open trials, once nothing can run any more."""
    queries = queries or StateScan(state, policy)
    return [
        TrialOutcome(trial.trial, "stopped", _describe_rank(trial, policy, why, queries), "budget")
        for trial in state.trials.values()
        if is_open(trial)
    ]


def can_start(state: SearchState, queued: QueuedTrial) -> bool:
    """Return whether the weights that a queued trial starts from, if any, are there."""
    trial = state.trials.get(state.begun.get(queued.weights_of, ""))
    return not queued.weights_of or (trial is not None and trial.state == "complete")


def _advancing_quota(results: int, policy: AshaPolicy, closed: bool) -> int:
    """Return how many of so many results at a rung advance."""
    # The paper rounds down. Once no other trial can come to the rung, the share is rounded up:
    # otherwise a search with few trials would leave its last rungs empty. The stopping form always
    # rounds up, since it compares a trial only once: the first to arrive must be able to advance.
    rounds_up = closed or policy.kind == "stopping"
    quota = math.ceil(results / policy.eta) if rounds_up else results // policy.eta
    # A minimum of finalists is only due at the end: earlier, the first trials would take all of it.
    return max(quota, policy.finalists) if closed else quota


def _outcome_on_arrival(
    state: SearchState, trial: TrialRecord, policy: AshaPolicy, queries: RungQueries
) -> TrialOutcome | None:
    if not must_advance_or_stop(trial, policy):
        return None
    if any(job.trial == trial.trial for job in find_advances(state, policy, queries)):
        return None
    reason = _describe_rank(trial, policy, f"not among the best 1/{policy.eta}", queries)
    return TrialOutcome(trial.trial, "stopped", reason, "rule")


def _describe_rank(trial: TrialRecord, policy: AshaPolicy, why: str, queries: RungQueries) -> str:
    rung = max((r for r in policy.rungs if r <= trial.epoch), default=0)
    if not rung:
        return f"{why} before rung {policy.rungs[0]}"
    rank = queries.rank_of(trial, rung)
    if rank is None:
        return f"{why}; no usable result at rung {rung}"
    return f"{why}; {rank} of {queries.count_results(rung)} at rung {rung}"
