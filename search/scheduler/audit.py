"""Check a ledger against itself: compute its rungs and decisions again and compare."""

from collections.abc import Iterable

from search.ledger.events import (
    DamagedEvent,
    EndEvent,
    Event,
    ReportEvent,
    SearchEvent,
    SegmentEvent,
    TrialEvent,
)
from search.ledger.kinds import OBJECTIVE
from search.ledger.queue import FULL_LENGTH_PREFIX
from search.ledger.state import SearchState
from search.scheduler.asha import find_advances, find_outcomes
from search.scheduler.policy import AshaPolicy, is_interrupted, target_rung


def recompute_rungs(events: Iterable[Event]) -> dict[int, list[tuple[float, str]]]:
    """Return the results by rung from the reports alone, to check those of the state."""
    rungs: tuple[int, ...] = ()
    values: dict[tuple[str, int], float] = {}
    competing: set[str] = set()
    for event in events:
        match event:
            case TrialEvent() if not event.wish.startswith(FULL_LENGTH_PREFIX):
                competing.add(event.trial)
            case SearchEvent():
                rungs = event.rungs
            case ReportEvent():
                values.setdefault((event.trial, event.epoch), event.metrics[OBJECTIVE])
            case DamagedEvent(trial=trial, from_epoch=last):
                values = {
                    at: value for at, value in values.items() if at[0] != trial or at[1] <= last
                }
    return {
        rung: sorted(
            (value, trial)
            for (trial, epoch), value in values.items()
            if epoch == rung and trial in competing
        )
        for rung in rungs
    }


def find_wrong_decisions(events: Iterable[Event]) -> list[str]:
    """Return the segments and ends that ASHA would not have decided on the events before them."""
    state = SearchState()
    wrong = []
    for event in events:
        if isinstance(event, SegmentEvent):
            wrong += _wrong_segment(state, event)
        elif isinstance(event, EndEvent) and event.by == "rule":
            wrong += _wrong_end(state, event)
        state.apply(event)
    return wrong


def _wrong_segment(state: SearchState, event: SegmentEvent) -> list[str]:
    policy, trial = AshaPolicy.from_state(state), state.trials[event.trial]
    job = (trial.trial, event.to_rung)
    if state.holds:
        return [f"{event.time}: {job} while on hold ({', '.join(state.holds)})"]
    allowed = {(each.trial, each.to_rung) for each in find_advances(state, policy)}
    # Any advance counts, not only the best one: several slots may have been free at once.
    if is_interrupted(trial, policy):
        allowed.add((trial.trial, target_rung(trial, policy)))
    return [] if job in allowed else [f"{event.time}: {job} not among {sorted(allowed)}"]


def _wrong_end(state: SearchState, event: EndEvent) -> list[str]:
    due = {(each.trial, each.state) for each in find_outcomes(state, AshaPolicy.from_state(state))}
    job = (event.trial, event.state)
    return [] if job in due else [f"{event.time}: end {job} not among {sorted(due)}"]
