"""The Python API says what the command line says."""

import shutil
import subprocess
import sys

import pytest

import spksearch
from search.core.errors import NotFound, UsageError
from search.models import loader
from tests.support import untrained_search
from tests.support.pages import code_blocks


@pytest.fixture
def searched(spksearch_home, tmp_path):
    corpus = untrained_search.make_corpus(tmp_path / "corpus", speakers=9, utterances=3)
    untrained_search.make_search(spksearch_home, corpus, "tiny")
    return corpus


def test_importing_costs_nothing_and_names_what_there_is():
    code = (
        "import sys, spksearch; heavy = {'torch', 'ray', 'mlflow', 'numpy', 'pandas'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert 'load_model' in dir(spksearch)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="no attribute 'lunch'"):
        spksearch.lunch  # noqa: B018
    assert all(getattr(spksearch, name) is not None for name in spksearch.__all__)


def test_a_search_is_a_table_a_best_trial_and_its_model(searched):
    search = spksearch.open_search("tiny")
    table = search.trials()
    assert search.status == "finished"
    assert search.best == table["trial"].iloc[0]
    known = table["dev_eer"].dropna()
    assert list(known) == sorted(known)
    assert {"state", "epochs", "origin", "dev_eer_low"} <= set(table.columns)
    model = search.load()
    recordings = sorted(searched.rglob("*.wav"))[:2] or sorted(searched.rglob("*.flac"))[:2]
    embeddings = model.embed_files(recordings)
    assert -1 <= model.score(*embeddings) <= 1
    assert model.source.startswith(f"tiny/{search.best}")
    with pytest.raises(UsageError, match="nothing to stop"):
        search.stop()


def test_an_unknown_search_and_an_unknown_option_are_named(searched):
    with pytest.raises(NotFound, match="tiny"):
        spksearch.open_search("tyni")
    with pytest.raises(UsageError, match="no option 'trails'"):
        spksearch.launch("quickstart", searched, trails=3)


def test_the_python_of_the_page_on_models_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path / "runs"))
    corpus = untrained_search.make_corpus(tmp_path / "corpus", speakers=9, utterances=3)
    untrained_search.make_search(tmp_path / "runs", corpus, "triplet")
    model = spksearch.open_search("triplet").load().model
    promoted = tmp_path / "runs" / "triplet" / "promoted" / "t0007-27"
    promoted.mkdir(parents=True)
    (promoted / loader.WEIGHTS).write_bytes(loader.serialise_weights(model.encoder))
    (promoted / loader.CONFIG).write_text(model.config.model_dump_json())
    (promoted / loader.THRESHOLD).write_text('{"threshold": 0.4}')
    first, second = sorted(corpus.rglob("*.wav"))[:2]
    shutil.copy(first, "a.wav")
    shutil.copy(second, "b.m4a")  # what it is decides, not its name
    known: dict[str, object] = {}
    for code in code_blocks.blocks("docs/how-to/use-a-model.md", "python"):
        exec(compile(code, "use-a-model.md", "exec"), known)
    assert len(known["table"]) > 0
