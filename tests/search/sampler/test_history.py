"""What is kept for the sampler is what it would gather anew, and what Optuna would make of it."""

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from bench.support import formula_search
from search.ledger.kinds import SIZE
from search.sampler import history, optuna_trials, sampler
from search.sampler.history import SamplerHistory
from search.scheduler import rung_index
from tests.support.random_ledger import RandomLedger
from tests.support.scripted_search import ScriptedSearch

SPACE = formula_search.SPACE


class Searcher(RandomLedger):
    """Its trials are the sampler's."""

    kept = None

    def idea(self):
        idea = sampler.suggest(SPACE, self.tale.state, self.tale.policy, 0, history=self.kept)
        return {"axes": idea.axes, "distributions": idea.distributions, "config": idea.config}


def _told(trials):
    return [
        (
            t.number,
            t.state,
            t.params,
            t.values,
            t.intermediate_values,
            t.constraints,
            t.distributions,
        )
        for t in trials
    ]


def _searched(trials, rungs=(1, 3, 9), **search):
    """A search that the sampler went through, a third of it going on from every rung."""
    tale = ScriptedSearch(rungs, trials=trials + 1)
    tale.record("search", **search)
    kept = SamplerHistory(tale.state)
    for number in range(trials):
        idea = sampler.suggest(SPACE, tale.state, tale.policy, 0, history=kept)
        name = tale.trial(idea.axes, idea.distributions, idea.config, **{SIZE: 100 + number % 7})
        value = 0.1 + idea.axes["noise_probability"] / 3 + number % 5 / 1000
        tale.segment(name, 3 if number % 3 else 1)
        if number % 11 == 5:
            tale.end(name, "failed", "diverged: loss is nan", "failure")
        elif number % 7 != 3:
            tale.report(name, 1, value)
            if number % 3:
                tale.report(name, 2, value)
                tale.report(name, 3, value)
    return tale


@pytest.mark.parametrize("objectives", [["dev_eer"], ["dev_eer", SIZE]], ids=["one", "two"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_after_any_events_the_kept_and_the_fresh_suggest_the_same(objectives, data):
    teller = Searcher(data.draw, "promotion", objectives)
    teller.kept = SamplerHistory(teller.tale.state)
    for _ in range(data.draw(st.integers(5, 30))):
        teller.add_event()
        if data.draw(st.booleans()):
            state, policy = teller.tale.state, teller.tale.policy
            kept, fresh = teller.kept.refresh(policy), SamplerHistory(state).refresh(policy)
            assert kept.tried == fresh.tried
            assert kept.model_rung() == fresh.model_rung()
            for rung in policy.rungs:
                assert _told(kept.frozen_trials(rung)) == _told(fresh.frozen_trials(rung))
                assert _told(kept.select_modelled(rung, 6)) == _told(fresh.select_modelled(rung, 6))
            suggested = sampler.suggest(SPACE, state, policy, 7, history=teller.kept)
            assert suggested == sampler.suggest(SPACE, state, policy, 7)


@pytest.mark.parametrize("objectives", [["dev_eer"], ["dev_eer", SIZE]], ids=["one", "two"])
def test_a_study_that_is_handed_its_trials_suggests_what_one_that_copies_them_does(objectives):
    tale = _searched(60, objectives=objectives)
    told = SamplerHistory(tale.state).refresh(tale.policy)
    rung = told.model_rung()
    chance = sampler._derive_seed(5, len(tale.state.trials), 0)
    study = optuna.create_study(
        directions=["minimize"] * len(objectives),
        sampler=optuna.samplers.TPESampler(seed=chance, n_startup_trials=sampler.STARTUP),
    )
    study.add_trials(told.frozen_trials(rung))
    asked = study.ask()
    SPACE.function(asked)
    assert sampler.suggest(SPACE, tale.state, tale.policy, 5).axes == asked.params


def test_of_too_many_trials_the_good_ones_are_modelled_and_the_others_thinned_evenly():
    tale = _searched(160)
    told = SamplerHistory(tale.state).refresh(tale.policy)
    rung = told.model_rung()
    everything, modelled = told.frozen_trials(rung), told.select_modelled(rung, 60)
    assert len(modelled) == 60
    numbers = [trial.number for trial in modelled]
    assert numbers == sorted(set(numbers))
    complete = [trial for trial in everything if trial.state == TrialState.COMPLETE]
    best = sorted(complete, key=lambda trial: trial.value)[:6]
    assert {trial.number for trial in best} <= set(numbers)
    rest = [trial for trial in everything if trial not in best]
    for half in (rest[: len(rest) // 2], rest[len(rest) // 2 :]):
        assert len([each for each in half if each in modelled]) == pytest.approx(27, abs=1)
    assert told.select_modelled(rung, 160) == everything


@pytest.mark.parametrize("objectives", [["dev_eer"], ["dev_eer", SIZE]], ids=["one", "two"])
def test_an_event_that_names_no_trial_costs_nothing(objectives, monkeypatch):
    tale = _searched(30, objectives=objectives)
    kept = SamplerHistory(tale.state)
    policy = tale.policy
    rung = kept.refresh(policy).model_rung()
    kept.frozen_trials(rung)
    calls = []
    for module, name in ((optuna_trials, "to_frozen_trial"), (rung_index, "_contribution_of")):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *arguments, real=real: calls.append(arguments) or real(*arguments)
        )
    tale.record("hold", cause="user", reason="paused", by="anna")
    tale.record("release", cause="user", by="anna")
    tale.record("search", concurrent=3)
    tale.record("driver", host="here", pid=1, started="0-1")
    tale.record("stop", trial=None, now=False, by="anna")
    tale.record("evaluated", trial="t0404", metrics={})
    kept.refresh(policy).frozen_trials(rung)
    assert calls == []
    tale.segment("t0001", 9)
    kept.refresh(policy).frozen_trials(rung)
    assert len(calls) == 2, "the trial's part of the index, and what Optuna is told of it"


def test_where_few_came_to_the_modelled_rung_the_best_below_are_good():
    tale = ScriptedSearch(trials=200)
    for number in range(40):
        tale.train(tale.trial(), 3 if number < 12 else 1, 0.2 + number / 1000)
    bad = tale.trial()
    tale.segment(bad, 3)
    tale.report(bad, 1, 0.001)
    tale.end(bad, "failed", "diverged: loss is nan", "failure")
    told = SamplerHistory(tale.state).refresh(tale.policy)
    assert (told.model_rung(), len(told.frozen_trials(3))) == (3, 41)
    assert told._good_numbers(3, 300) == set(range(1, 26))


def test_a_driver_that_starts_again_with_thousands_of_trials_suggests_the_same(monkeypatch):
    monkeypatch.setattr(history, "MOST_MODELLED", 50)
    tale = _searched(120)
    kept = SamplerHistory(tale.state)
    for seed in range(3):
        sampler.suggest(SPACE, tale.state, tale.policy, seed, history=kept)
        tale.train(tale.trial(), 1, 0.1)
        again = sampler.suggest(SPACE, tale.state, tale.policy, seed)
        assert sampler.suggest(SPACE, tale.state, tale.policy, seed, history=kept) == again
