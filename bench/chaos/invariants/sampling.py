"""Check the sampler: it gets every trial once, and repeats its suggestions."""

from typing import TYPE_CHECKING

from bench.chaos.evidence import Evidence
from bench.chaos.invariants.trials import ENDED
from search.ledger.events import (
    EndEvent,
    Event,
    ReportEvent,
    TrialEvent,
)
from search.ledger.state import SearchState
from search.sampler import sampler
from search.sampler.history import SamplerHistory
from search.scheduler.policy import AshaPolicy
from search.scheduler.rung_index import RungIndex

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def sampler_sees_each_trial_once(evidence: Evidence) -> list[str]:
    """The sampler gets every trial once, as ended, whether it follows along or starts anew."""
    state, wrong = evidence.state, []
    seen, seen_incrementally = (
        _trials_seen(evidence.state),
        _trials_seen_incrementally(evidence.events),
    )
    if [_comparable(each) for each in seen] != [_comparable(each) for each in seen_incrementally]:
        wrong.append("the sampler that followed knows other trials than one that began anew")
    if len(seen) != len(state.trials):
        wrong.append(f"the sampler is told {len(seen)} trials, there are {len(state.trials)}")
    if len({each.number for each in seen}) != len(seen):
        wrong.append("the sampler is told a trial twice")
    for trial, each in zip(state.trials.values(), seen, strict=False):
        if trial.state in ENDED and not each.state.is_finished():
            wrong.append(f"{trial.trial} is {trial.state}, the sampler is told {each.state.name}")
    return wrong


def _trials_seen(state: SearchState) -> list["FrozenTrial"]:
    history = SamplerHistory(state, RungIndex(state)).refresh(
        AshaPolicy.from_settings(state.search)
    )
    return history.frozen_trials(history.model_rung())


def _trials_seen_incrementally(events: list[Event]) -> list["FrozenTrial"]:
    state, history = SearchState(), None
    for event in events:
        state.apply(event)
        if isinstance(event, ReportEvent | EndEvent):
            history = history or SamplerHistory(state)
            history.refresh(AshaPolicy.from_settings(state.search)).frozen_trials(
                history.model_rung()
            )
    history = (history or SamplerHistory(state)).refresh(AshaPolicy.from_settings(state.search))
    return history.frozen_trials(history.model_rung())


def _comparable(seen: "FrozenTrial") -> tuple[object, ...]:
    return seen.number, seen.state, seen.values, seen.params, seen.intermediate_values


def suggestions_repeat(evidence: Evidence) -> list[str]:
    """The sampler suggests each of its configs again when it gets the same events."""
    if evidence.space is None:
        return []
    state, wrong = SearchState(), []
    for event in evidence.events:
        if isinstance(event, TrialEvent) and event.origin == "sampler":
            search = state.search
            policy = AshaPolicy.from_settings(search)
            idea = sampler.suggest(evidence.space, state, policy, search.seed, search.strategy)
            if idea is None or idea.config.signature != event.signature:
                wrong.append(f"{event.trial} is not what the sampler suggests at that point")
        state.apply(event)
    return wrong
