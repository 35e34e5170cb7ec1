"""Check trials: each ends once, decisions follow the rule, the budget is kept."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.chaos.evidence import Evidence
from search.ledger.events import (
    EndEvent,
    SegmentEvent,
    TrialEvent,
)
from search.ledger.state import SearchState
from search.scheduler import rung_queries
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.policy import AshaPolicy

if TYPE_CHECKING:
    pass


ENDED = ("complete", "stopped", "failed", "killed")


def every_trial_ends_once(evidence: Evidence) -> list[str]:
    """The search is finished, and every trial has one end; a user may end what the budget ended."""
    state, wrong = evidence.state, []
    if state.finish is None:
        wrong.append("the search has no finish")
    for trial in state.trials.values():
        if trial.state not in ENDED:
            wrong.append(f"{trial.trial} is {trial.state}, which is no end")
    ended_by: dict[str, str] = {}
    for event in evidence.events:
        if isinstance(event, SegmentEvent):
            ended_by.pop(event.trial, None)
        elif isinstance(event, EndEvent):
            # What the budget ended would go on if the search were extended, so it can be stopped.
            is_final_stop = ended_by.get(event.trial) == "budget" and event.by == "user"
            if event.trial in ended_by and not is_final_stop:
                wrong.append(f"{event.trial} ended twice without a segment between")
            ended_by[event.trial] = event.by
    return wrong


def decisions_follow_the_rule(evidence: Evidence) -> list[str]:
    """Every segment and every end is what the rule decides from the events before; so are rungs."""
    wrong = find_wrong_decisions(evidence.events)
    state = evidence.state
    rungs = {rung: rung_queries.rung_results(state, rung) for rung in state.rungs}
    if recompute_rungs(evidence.events) != rungs:
        wrong.append("the rungs worked out from the reports are not those of the state")
    return wrong


def budget_is_kept(evidence: Evidence) -> list[str]:
    """No more trials, epochs or hours were used than were allowed at the time."""
    state = SearchState()
    wrong: list[str] = []
    for event in evidence.events:
        if isinstance(event, TrialEvent | SegmentEvent):
            wrong += _beyond_budget(state, event)
        state.apply(event)
    top = max(state.rungs, default=0)
    wrong += [f"{t.trial} trained {t.epoch} epochs" for t in state.trials.values() if t.epoch > top]
    return wrong


def _beyond_budget(state: SearchState, event: TrialEvent | SegmentEvent) -> Iterable[str]:
    policy = AshaPolicy.from_settings(state.search)
    hours = state.spent_hours(uptime=event.uptime)
    if policy.hours is not None and hours >= policy.hours:
        yield f"{event.event} of {event.trial} after {hours:.3f} of {policy.hours:g} hours"
    asked = isinstance(event, TrialEvent) and not event.wish
    if asked and policy.trials is not None and len(state.trials) >= policy.trials:
        yield f"{event.trial} is beyond {policy.trials} trials"
