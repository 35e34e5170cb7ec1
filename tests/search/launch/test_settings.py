from pathlib import Path

import pytest

from search.core.errors import UsageError
from search.launch.rungs import parse_rungs
from search.launch.settings import (
    LaunchRequest,
    decide,
    extensions,
    surroundings_folders,
)
from search.ledger.formats import parse
from tests.support.events import event_of


def _decided(before=None, **asked):
    request = LaunchRequest(space="quickstart", corpus=Path("/data/speech"), **asked)
    return decide(
        request,
        before,
        space_name="quickstart",
        space_sha256="a" * 64,
        corpus_sha256="b" * 64,
        store=Path("/home/corpora/b"),
        dev_store=Path("/home/corpora/b/dev"),
        noise_rooms_fingerprint="c" * 16,
    )


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "SPKSEARCH_NOISE", "SPKSEARCH_ROOMS"):
        monkeypatch.delenv(name, raising=False)


def test_the_ledgers_event_gives_back_the_settings():
    settings = _decided(trials=7, max_epochs=27)
    event = event_of("search", **settings.model_dump(), versions={})
    assert (
        parse(event.model_copy(update={"time": "t", "search": "s"}).to_line().encode()).settings
        == settings
    )


def test_what_is_not_asked_stays_as_it_was():
    first = _decided(trials=7, dev_condition="mismatched", rule="stopping", seed=3)
    again = _decided(first)
    assert again == first


@pytest.mark.parametrize(
    ("asked", "name"),
    [({"trials": 48}, "trials"), ({"max_epochs": 27}, "max_epochs"), ({"hours": 2.0}, "hours")],
)
def test_a_changed_budget_extends(asked, name):
    first = _decided()
    extended = _decided(first, **asked)
    assert extensions(extended, first)[name] == (getattr(first, name), asked[name])


def test_a_larger_max_epochs_adds_a_rung():
    assert _decided(max_epochs=9).rungs == (1, 3, 9)
    assert _decided(max_epochs=27).rungs == (1, 3, 9, 27)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"seed": 1}, "--seed"),
        ({"dev_condition": "mismatched"}, "--dev-condition"),
        ({"rule": "stopping"}, "--rule"),
    ],
)
def test_another_search_under_the_same_name_is_refused_and_the_difference_named(asked, words):
    with pytest.raises(UsageError, match=words):
        _decided(_decided(), **asked)


def test_a_search_keeps_its_surroundings_whatever_the_environment_says_later(tmp_path, monkeypatch):
    (tmp_path / "noise").mkdir()
    request = LaunchRequest(space="quickstart", corpus=Path("/data/speech"))
    with_noise = _decided(noise=tmp_path / "noise")
    built_in = _decided()
    monkeypatch.setenv("SPKSEARCH_NOISE", str(tmp_path))
    monkeypatch.setenv("SPKSEARCH_ROOMS", str(tmp_path))
    assert surroundings_folders(request, with_noise) == (tmp_path / "noise", None)
    assert surroundings_folders(request, built_in) == (None, None)
    assert surroundings_folders(request, None) == (tmp_path, tmp_path)


def test_a_search_is_given_its_ladder_and_keeps_it():
    chosen = _decided(rungs=(2, 9, 27), eta=6)
    assert (chosen.rungs, chosen.eta, chosen.max_epochs) == ((2, 9, 27), 6, 27)
    assert _decided(chosen) == chosen
    assert _decided(chosen, max_epochs=60).rungs == (2, 9, 27, 60)
    assert _decided(chosen, max_epochs=18).rungs == (2, 9, 18)
    assert _decided(eta=5, max_epochs=27).rungs == (1, 5, 27)
    # The ladder that nobody chose is made anew: 10 was an end, and no power of 3.
    assert _decided(_decided(max_epochs=10), max_epochs=27).rungs == (1, 3, 9, 27)


@pytest.mark.parametrize(
    ("before", "asked", "words"),
    [
        ({}, {"rungs": (1, 3, 9), "max_epochs": 27}, "leave --max-epochs 27 out"),
        ({"rungs": (2, 9, 27)}, {"rungs": (3, 9, 27)}, "has the rungs 2,9,27"),
        ({"eta": 3}, {"eta": 4}, "--eta: 3 before, 4 now"),
        ({}, {"eta": 1}, "at least 2"),
    ],
)
def test_a_ladder_that_contradicts_another_is_refused(before, asked, words):
    with pytest.raises(UsageError, match=words):
        _decided(_decided(**before) if before else None, **asked)


@pytest.mark.parametrize("text", ["", "9,3", "0,3", "1,1,3", "1,x", "1.5,3"])
def test_rungs_that_do_not_rise_from_1_on_are_refused(text):
    with pytest.raises(UsageError, match="rising epochs"):
        parse_rungs(text)


def test_another_corpus_under_the_same_name_is_refused():
    with pytest.raises(UsageError, match="the corpus"):
        _decided(_decided().model_copy(update={"corpus_sha256": "d" * 64}))


@pytest.mark.parametrize(
    "asked", [{"trials": 0}, {"hours": 0.0}, {"cpus_per_trial": 0.0}, {"gpus_per_trial": -1.0}]
)
def test_numbers_out_of_range_are_refused(asked):
    with pytest.raises(UsageError, match="must"):
        _decided(**asked)


def test_a_password_never_reaches_the_settings():
    settings = _decided(tracking_uri="https://me:secret@mlflow.example/x")
    assert "secret" not in settings.tracking_uri
    assert "mlflow.example" in settings.tracking_uri


def test_a_new_search_has_a_default_trial_and_one_of_before_gets_none():
    assert _decided().default_trial is True
    assert _decided(default_trial=False).default_trial is False
    before = _decided().model_copy(update={"default_trial": False})
    assert _decided(before).default_trial is False


def test_a_search_with_a_default_trial_is_not_one_without():
    with pytest.raises(UsageError, match="--default-trial: True before, False now"):
        _decided(_decided(), default_trial=False)
