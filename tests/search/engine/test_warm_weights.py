import shutil

import pytest

from search.checkpoints import warm_start
from search.core.errors import UsageError
from search.engine.controller import SearchController
from search.ledger.ledger import Ledger
from search.scheduler.policy import AshaPolicy
from search.space import loader
from search.tracking.projection import RunProjection
from spkmodel.config import TDNN, LogMel, TrainConfig, WarmStart
from tests.support import untrained_search
from tests.support.events import append

SPACE = '''"""From where?"""
from spkmodel.config import TDNN, LogMel, TrainConfig, WarmStart
def space(trial):
    return TrainConfig(
        encoder=TDNN(
            features=LogMel(mels=24, normalisation="fixed"), channels=12, dilations=(2,),
            expansion=2, embedding_dim=trial.suggest_categorical("embedding_dim", [{dims}]),
        ),
        warm_start=WarmStart(weights="night/t0003"),
    )
'''


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("warm-home")


@pytest.fixture(scope="module")
def night(home, tmp_path_factory):
    corpus = untrained_search.make_corpus(tmp_path_factory.mktemp("warm-corpus"))
    return untrained_search.make_search(home, corpus, "night")


@pytest.fixture(autouse=True)
def _at_home(home, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(home))


def _config(weights, **changes):
    start = WarmStart(weights=str(weights), **changes)
    return untrained_search.CONFIG.model_copy(update={"warm_start": start})


def test_a_name_is_its_best_kept_epoch(night, tmp_path):
    best = night.ledger.state().trials["t0003"].best()
    found = warm_start.resolve(_config("night/t0003"))
    assert found.sha256 == best.sha256
    assert found.checkpoint == str(night.checkpoint("t0003", best.epoch))
    away = tmp_path / "away"
    shutil.move(found.checkpoint, away)
    try:
        other = warm_start.resolve(_config("night/t0003"))
    finally:
        shutil.move(away, found.checkpoint)
    assert other.checkpoint != found.checkpoint


def test_a_folder_is_itself_and_must_be_the_one_that_was_meant(night):
    folder = night.checkpoint("t0002", 3)
    found = warm_start.resolve(_config(folder))
    assert warm_start.resolve(_config(folder, sha256=found.sha256)) == found
    with pytest.raises(UsageError, match=r"warm_start\.sha256=0000.*other weights"):
        warm_start.resolve(_config(folder, sha256="0" * 64))


def test_without_a_warm_start_there_is_nothing_to_find():
    assert warm_start.resolve(TrainConfig()) is None


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("weights", ["night/t0009", "day/t0001", "nowhere/at/all"])
def test_weights_that_are_not_there_are_an_error_that_says_what_is_taken(weights):
    with pytest.raises(UsageError, match=r"warm_start\.weights=.*SEARCH/TRIAL") as problem:
        warm_start.resolve(_config(weights))
    assert problem.value.exit_code == 2


@pytest.mark.usefixtures("night")
def test_a_branch_of_another_shape_is_refused_before_anything_starts(tmp_path):
    path = tmp_path / "warm.py"
    path.write_text(SPACE.replace("{dims}", "16, 32"))
    branches = loader.branches(loader.load(str(path)))
    with pytest.raises(UsageError, match=r"embedding_dim=32.*encoder.embedding_dim is 32"):
        warm_start.check("warm", branches)
    warm_start.check("warm", branches[:1])


@pytest.mark.usefixtures("night")
def test_what_it_starts_from_is_in_the_ledger_and_on_the_run(tmp_path):
    path = tmp_path / "warm.py"
    path.write_text(SPACE.replace("{dims}", "16"))
    with Ledger.open(tmp_path / "again" / "ledger.jsonl", write=True) as ledger:
        fields = {"space": "warm", "rungs": [1, 3], "eta": 3, "rule": "promotion"}
        append(ledger, "search", **fields, trials=2, hours=None)
        state = ledger.state()
        seen = []
        driver = SearchController(
            ledger,
            state,
            loader.load(str(path)),
            AshaPolicy.from_settings(state.search),
            lambda trial, *_: seen.append(trial.warm_start) or {},
            seed=0,
            strategy="tpe",
        )
        driver.begin()
        driver.next_segment()
        found = warm_start.resolve(_config("night/t0003"))
        assert seen == [found]
        assert ledger.trials()["t0001"].warm_start == found
        mirror = RunProjection()
        for event in ledger.events():
            mirror.add(event)
    tags = mirror.runs["t0001"].tags
    assert (tags["warm_start"], tags["warm_start_sha256"]) == ("night/t0003", found.sha256)


@pytest.mark.usefixtures("night")
def test_another_front_end_is_named_by_its_field():
    other = TDNN(features=LogMel(mels=32), channels=12, dilations=(2,), expansion=2)
    config = TrainConfig(encoder=other, warm_start=WarmStart(weights="night/t0003"))
    with pytest.raises(UsageError, match=r"encoder\.features\.mels is 32, the checkpoint's 24"):
        warm_start.resolve(config)
