"""The best configs trained again with other seeds, and which of them is promoted."""

from contextlib import nullcontext

import pytest

from search.core.errors import NotFinished, NoUsableTrial, UsageError
from search.core.paths import ledger_path
from search.core.progress import Silent
from search.launch import launch
from search.launch.settings import LaunchRequest
from search.ledger.ledger import Ledger
from search.promotion import promote, registration, retrain, winner_luck
from search.promotion.promote import format_summary
from search.promotion.retrain import RetrainRequest, collect_contenders, plan_retraining
from search.promotion.winner_luck import Contender
from spkmodel.config import TrainConfig
from tests.support import untrained_search
from tests.support.scripted_search import ScriptedSearch
from tests.support.tiny_space import SPACE


def _ended(values=(0.4, 0.3, 0.2, 0.1)):
    """A search whose trials all came to the last rung; the first is the default's."""
    tale = ScriptedSearch(rungs=(1,), trials=len(values))
    for place, value in enumerate(values):
        tale.train(tale.trial(origin="default" if place == 0 else "sampler"), 1, value)
    return tale


def test_the_best_and_the_default_are_trained_again_with_seeds_of_their_own():
    tale = _ended()
    wanted = plan_retraining(tale.state, RetrainRequest(top=2, seeds=3))
    assert [trial.trial for trial, _ in wanted] == ["t0004", "t0003", "t0001"]
    keys = [each.key for _, queued in wanted for each in queued]
    assert len(set(keys)) == 9
    assert all(key.startswith("retrain/") for key in keys)
    first = [TrainConfig.model_validate(each.config) for each in wanted[0][1]]
    # The search's own seed is not among them: its training was chosen for its low EER.
    assert [config.seed for config in first] == [1, 2, 3]
    assert first[0].optimiser == TrainConfig.model_validate(wanted[0][0].config).optimiser
    assert wanted[0][1][1].origin == "t0004 again, seed 2"


def test_the_same_plan_is_made_once_some_of_it_is_trained():
    tale = _ended()
    request = RetrainRequest(top=1, seeds=2)
    wanted = plan_retraining(tale.state, request)
    key = wanted[0][1][0].key
    tale.train(tale.trial(wish=key), 1, 0.01)  # better than all that were searched
    assert plan_retraining(tale.state, request) == wanted


def test_what_still_waits_is_not_promoted_and_what_failed_is_left_out():
    tale = _ended()
    wanted = plan_retraining(tale.state, RetrainRequest(top=1, seeds=2))
    for _, queued in wanted:
        for each in queued:
            tale.record("queued", key=each.key, config=each.config)
    with pytest.raises(NotFinished, match="4 trainings of search 'story' are not done"):
        collect_contenders(tale.state, wanted)
    for place, each in enumerate(each for _, queued in wanted for each in queued):
        name = tale.trial(wish=each.key)
        tale.train(name, 1, 0.2)
        if place == 0:
            tale.end(name, "failed", by="failure")
    assert collect_contenders(tale.state, wanted) == [
        Contender("t0004", ("t0006",), is_default=False),
        Contender("t0001", ("t0007", "t0008"), is_default=True),
    ]


@pytest.mark.parametrize(("top", "seeds"), [(0, 3), (3, 0), (3, 21)])
def test_numbers_that_make_no_sense_are_refused(top, seeds):
    with pytest.raises(UsageError):
        RetrainRequest(top=top, seeds=seeds)


def test_a_search_without_a_finalist_has_nothing_to_train_again():
    tale = ScriptedSearch(trials=1)
    tale.train_new(0.2)
    with pytest.raises(NoUsableTrial, match=r"no trial at the last rung \(9 epochs\)"):
        plan_retraining(tale.state, RetrainRequest())


def test_a_search_that_has_not_used_its_budget_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path))
    tale = ScriptedSearch(rungs=(1,), trials=9)
    tale.train_new(0.2)
    tale.record("finish", reason="stopped by hand", totals={})
    (tmp_path / "story").mkdir()
    lines = [event.to_line() + "\n" for event in tale.events]
    (tmp_path / "story" / "ledger.jsonl").write_text("".join(lines))
    with pytest.raises(NotFinished, match=r"1 of 9 trials.*\n.*launch made.*\n.*--trials 1"):
        retrain.retrain("story", RetrainRequest(), Silent())
    assert Ledger.open(ledger_path("story")).state().queue == {}


@pytest.mark.slow
def test_the_median_seed_of_the_likeliest_config_is_promoted_with_its_luck(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path / "home"))
    corpus = untrained_search.make_corpus(tmp_path / "corpus")
    tiny = untrained_search.make_search(tmp_path / "home", corpus, "night", again=True)
    move = registration.AliasMove("m", "candidate", None)
    version = registration.RegisteredVersion("m", "1", "candidate", created=True)
    done = registration.Registration(version, move, [], "", "")
    monkeypatch.setattr(promote.mlflow_client, "connect_mlflow", lambda *_: nullcontext())
    monkeypatch.setattr(promote.registration, "plan_move", lambda *_, **__: move)
    monkeypatch.setattr(
        promote.registration, "register", lambda _, __, document, *___: (done, document)
    )
    contenders = [
        Contender("t0003", ("t0004", "t0005", "t0006"), is_default=False),
        Contender("t0002", ("t0007", "t0008", "t0009"), is_default=True),
    ]
    report = promote.promote("night", contenders=contenders)
    luck = report.document["selection"]
    assert luck["kind"] == "retrained"
    assert sum(each["p_best"] for each in luck["compared"]) == pytest.approx(1)
    likeliest = max(luck["compared"], key=lambda each: each["p_best"])
    eers = sorted(likeliest["trials"].values())
    assert likeliest["trials"][report.document["trial"]] == eers[1], "the median seed"
    state = tiny.ledger.state()
    for each in luck["compared"]:
        for name, eer in each["trials"].items():
            assert state.trials[name].best().objective == pytest.approx(eer, abs=1e-9)
    text = "\n".join(format_summary(report))
    assert "trained again to 3 epochs, dev EER by seed:" in text
    assert "probability that it is the best of the 2 configs compared" in text
    assert "dev EER by seed" in (report.folder / "MODEL_CARD.md").read_text()
    # A plain promotion compares the trial with the others of the last rung.
    plain = promote.promote("night", trial="t0003")
    assert plain.document["selection"]["kind"] == "finalists"
    assert [each["of"] for each in plain.document["selection"]["compared"]] == ["t0003", "t0002"]
    assert winner_luck.list_finalists(state)[0].name == "t0003"


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("local_ray")
def test_a_search_is_trained_again_and_the_same_call_trains_nothing(
    tmp_path, monkeypatch, mlflow_server
):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    corpus = untrained_search.make_corpus(tmp_path / "corpus")
    space = tmp_path / "tiny.py"
    space.write_text(SPACE)
    launch.launch(
        LaunchRequest(space=str(space), corpus=corpus, name="n", trials=2, max_epochs=1), Silent()
    )
    contenders = retrain.retrain("n", RetrainRequest(top=1, seeds=2), Silent())
    state = Ledger.open(ledger_path("n")).state()
    names = [name for each in contenders for name in each.trials]
    assert {state.trials[name].state for name in names} == {"complete"}
    assert {state.trials[name].config["seed"] for name in names} == {1, 2}
    assert retrain.retrain("n", RetrainRequest(top=1, seeds=2), Silent()) == contenders
    assert len(Ledger.open(ledger_path("n")).state().trials) == len(state.trials)
