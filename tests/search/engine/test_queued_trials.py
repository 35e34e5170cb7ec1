"""Configs that somebody wants tried: before new ideas, after the weights that they start from."""

from dataclasses import asdict

import pytest

from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.scheduler.asha import Advance
from search.scheduler.audit import find_wrong_decisions
from search.scheduler.next_job import (
    Done,
    NewTrial,
    Resume,
    StartQueued,
    Wait,
    choose_next_job,
    unfulfillable_requests,
)
from spkmodel.config import AdamW, TrainConfig
from tests.support.scripted_search import ScriptedSearch


def _wish(key, rate=0.004, **fields):
    config = TrainConfig(optimiser=AdamW(learning_rate=rate)).model_dump(mode="json")
    return QueuedTrial(key=key, config=config, origin=f"entry {key}", **fields)


def _queue(tale, *wishes):
    for wish in wishes:
        tale.record("queued", **asdict(wish))


def _begin(tale, key):
    """The trial of a wish, as a driver writes it."""
    wish, name = tale.state.queue[key], f"t{len(tale.state.trials) + 1:04d}"
    tale.record(
        "trial",
        trial=name,
        config=wish.config,
        signature=TrainConfig.model_validate(wish.config).signature,
        origin=wish.origin,
        axes=wish.axes,
        distributions=wish.distributions,
        wish=key,
        log_entry=wish.log_entry,
    )
    return name


def test_wishes_come_in_their_order_before_new_ideas_and_after_what_was_interrupted():
    tale = ScriptedSearch(trials=3)
    one, two = _wish("106"), _wish("107")
    _queue(tale, one, two)
    assert choose_next_job(tale.state, tale.policy) == StartQueued(one, 1)
    name = _begin(tale, "106")
    assert choose_next_job(tale.state, tale.policy) == Resume(name, 1)
    tale.segment(name, 1)
    assert choose_next_job(tale.state, tale.policy) == StartQueued(two, 1)
    tale.segment(_begin(tale, "107"), 1)
    assert choose_next_job(tale.state, tale.policy) == NewTrial(1)
    assert tale.state.begun == {"106": "t0001", "107": "t0002"}
    assert tale.state.trials["t0001"].wish == "106"


def test_a_wish_counts_into_the_budget_but_is_not_forbidden_by_it():
    tale = ScriptedSearch(trials=1)
    tale.train(tale.trial(), 1, 0.3)
    wish = _wish("116")
    _queue(tale, wish)
    assert choose_next_job(tale.state, tale.policy) == StartQueued(wish, 1)
    tale = ScriptedSearch(trials=2)
    tale.train(tale.trial(), 1, 0.3)
    _queue(tale, _wish("110", weights_of="106"))
    assert choose_next_job(tale.state, tale.policy) != NewTrial(1)


def test_the_same_wish_is_taken_once():
    tale = ScriptedSearch()
    _queue(tale, _wish("106"), _wish("106"))
    _begin(tale, "106")
    _queue(tale, _wish("106"))
    assert (dict(tale.state.queue), tale.state.repeated) == ({}, 2)


def test_a_warm_start_waits_until_the_trial_whose_weights_it_wants_is_complete():
    tale = ScriptedSearch(rungs=(2,), trials=0)
    source, warm = _wish("106"), _wish("110", weights_of="106")
    _queue(tale, warm, source)
    assert choose_next_job(tale.state, tale.policy) == StartQueued(source, 2)
    name = _begin(tale, "106")
    tale.segment(name, 2)
    assert choose_next_job(tale.state, tale.policy) == Wait()
    tale.report(name, 1, 0.3)
    assert choose_next_job(tale.state, tale.policy) == Wait()
    tale.report(name, 2, 0.2)
    tale.record_ends()
    assert choose_next_job(tale.state, tale.policy) == StartQueued(warm, 2)
    assert unfulfillable_requests(tale.state) == []
    assert find_wrong_decisions(tale.events) == []


def test_a_wish_whose_source_failed_or_never_was_is_vain():
    tale = ScriptedSearch(trials=0)
    _queue(tale, _wish("106"), _wish("110", weights_of="106"), _wish("111", weights_of="105"))
    assert [key for key, _ in unfulfillable_requests(tale.state)] == ["111"]
    name = _begin(tale, "106")
    tale.segment(name, 1)
    tale.end(name, "failed", "diverged: loss is nan", "failure")
    reasons = dict(unfulfillable_requests(tale.state))
    assert "t0001 are wanted, which failed" in reasons["110"]
    for key, reason in reasons.items():
        tale.record("withdrawn", key=key, reason=reason)
    assert tale.state.queue == {}
    assert set(tale.state.withdrawn) == {"110", "111"}
    assert isinstance(choose_next_job(tale.state, tale.policy), Done)
    _queue(tale, _wish("110", weights_of="106"))
    assert "110" in tale.state.queue, "asked for again, it is tried again"


def test_a_wish_that_waits_does_not_keep_the_others_from_their_last_rungs():
    tale = ScriptedSearch(rungs=(1, 3), trials=2)
    _queue(tale, _wish("106"), _wish("110", weights_of="106"))
    tale.train(_begin(tale, "106"), 1, 0.3)
    tale.train(tale.trial(), 1, 0.4)
    assert choose_next_job(tale.state, tale.policy) == Advance("t0001", 3)
    tale.train("t0001", 3, 0.2)
    assert isinstance(choose_next_job(tale.state, tale.policy), StartQueued)


def test_a_queue_is_what_its_events_add_up_to():
    tale = ScriptedSearch()
    _queue(tale, _wish("106", axes={"entry": "106"}), _wish("107"))
    _begin(tale, "106")
    assert SearchState.from_events(tale.events) == tale.state


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_the_sampler_learns_nothing_from_axes_that_are_no_spaces(tmp_path, kind):
    from search.sampler import sampler
    from search.space import loader

    path = tmp_path / "made.py"
    path.write_text(
        '"""How fast?"""\nfrom spkmodel.config import AdamW, TrainConfig\n'
        "def space(trial):\n"
        '    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)\n'
        "    return TrainConfig(optimiser=AdamW(learning_rate=rate))\n"
    )
    tale = ScriptedSearch()
    _queue(tale, _wish("106", axes={"entry": "106"}))
    tale.train(_begin(tale, "106"), 1, 0.2)
    space = loader.load(str(path))
    assert sampler.suggest(space, tale.state, tale.policy, seed=0, strategy=kind) is not None
