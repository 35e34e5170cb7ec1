"""Whether a ledger bears out itself: its rungs and its decisions, worked out again."""

from collections.abc import Iterable, Mapping
from typing import Any

from search.ledger.state import SearchState
from search.ledger.trial import OBJECTIVE
from search.scheduler.asha import advancing, ends, rule_in_force
from search.scheduler.policy import is_interrupted, target_rung


def recompute_rungs(events: Iterable[Mapping[str, Any]]) -> dict[int, list[tuple[float, str]]]:
    """The rung tables straight from the reports, without the state: for checking the state."""
    rungs: tuple[int, ...] = ()
    values: dict[tuple[str, int], float] = {}
    for event in events:
        if event["event"] == "search":
            rungs = tuple(event["rungs"])
        elif event["event"] == "report":
            values.setdefault((event["trial"], event["epoch"]), event["metrics"][OBJECTIVE])
        elif event["event"] == "damaged":
            trial, last = event["trial"], event["from_epoch"]
            values = {at: value for at, value in values.items() if at[0] != trial or at[1] <= last}
    return {
        rung: sorted((value, trial) for (trial, epoch), value in values.items() if epoch == rung)
        for rung in rungs
    }


def wrong_decisions(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Segments and ends in the ledger that the rule, told what came before, would not have made."""
    state = SearchState()
    wrong = []
    for event in events:
        if event["event"] == "segment":
            wrong += _wrong_segment(state, event)
        elif event["event"] == "end" and event["by"] == "rule":
            wrong += _wrong_end(state, event)
        state.apply(event)
    return wrong


def _wrong_segment(state: SearchState, event: Mapping[str, Any]) -> list[str]:
    rule, trial = rule_in_force(state), state.trials[event["trial"]]
    job = (trial.trial, event["to_rung"])
    if state.holds:
        return [f"{event['time']}: {job} while on hold ({', '.join(state.holds)})"]
    allowed = {(each.trial, each.to_rung) for each in advancing(state, rule)}
    if is_interrupted(trial, rule):
        allowed.add((trial.trial, target_rung(trial, rule)))
    return [] if job in allowed else [f"{event['time']}: {job} not among {sorted(allowed)}"]


def _wrong_end(state: SearchState, event: Mapping[str, Any]) -> list[str]:
    due = {(each.trial, each.state) for each in ends(state, rule_in_force(state))}
    job = (event["trial"], event["state"])
    return [] if job in due else [f"{event['time']}: end {job} not among {sorted(due)}"]
