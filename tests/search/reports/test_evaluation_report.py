"""The report of evaluated models: DET curves, scores with both thresholds, groups."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from search.cli import app
from search.core.errors import UsageError
from search.reports import evaluation_report
from search.reports.scored_model import read_folder
from tests.support import untrained_search
from tests.support.command_line import failed
from tests.support.models.scored_folder import pairs_of, scored_model, write_folder

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
FLOOR = {
    "name": "mel statistics, cosine", "eer": 0.02, "eer_low": 0.01, "eer_high": 0.05,
    "min_dcf_p01": 0.3, "min_dcf_p05": 0.2,
}  # fmt: skip


class Words(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.words, self.tags, self.ids = "", [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.words += data + " "


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("SPKSEARCH_HOME", str(folder))
    return folder


def page_of(tmp_path, *models, **options):
    return Words(evaluation_report.write_models(models, tmp_path / "page.html", **options))


def test_models_stand_beside_each_other_with_their_intervals(tmp_path):
    models = [scored_model("night/t0001"), scored_model("night/t0002", gain=1.0, seed=1)]
    page = page_of(tmp_path, *models, pngs=True)
    assert set(page.ids) >= {"det", "scores"}
    for model in models:
        assert f"{100 * model.numbers['eer']:.2f} %" in page.words
        assert f"{100 * model.numbers['eer_low']:.2f} %" in page.words
    assert {path.name for path in tmp_path.glob("*.png")} == {"det.png", "scores.png"}


def test_the_threshold_of_the_dev_pairs_comes_first_and_each_is_labelled(tmp_path):
    model = replace(scored_model(), dev_threshold=0.8765)
    page = page_of(tmp_path, model)
    own = f"EER of these pairs {model.numbers['threshold']:.4f}"
    dev, own = page.words.index("chosen on dev pairs 0.8765"), page.words.index(own)
    assert dev < own


def test_a_model_worse_than_no_network_is_called_so(tmp_path):
    page = page_of(tmp_path, scored_model(gain=0.5, floors=[FLOOR]))
    assert "Not better than no network" in page.words


def test_a_baseline_that_models_share_stands_there_once():
    models = [scored_model(name, floors=[FLOOR], seed=s) for s, name in enumerate(("a/t1", "b/t1"))]
    rows = evaluation_report.model_rows(models)
    assert [len(row["floors"]) for row in rows] == [0, 1]


def test_groups_and_speakers_are_drawn_and_listed(tmp_path):
    slices = [
        {"name": HOSTILE, "holds": "both", "pairs": 60, "targets": 30, "speakers": 6, "miss": 0.1,
         "false_alarm": 0.1, "eer": 0.1, "eer_low": 0.05, "eer_high": 0.2, "why_not": ""},
        {"name": "few", "holds": "both", "pairs": 2, "targets": 1, "speakers": 1, "miss": 0.0,
         "false_alarm": None, "eer": None, "eer_low": None, "eer_high": None,
         "why_not": "1 speaker, 5 needed"},
    ]  # fmt: skip
    worst = {"ranked": 12, "least_pairs_of_a_class": 5, "speakers": [
        {"speaker": HOSTILE, "targets": 9, "non_targets": 9, "miss": 0.5, "false_alarm": 0.1,
         "share_of_misses": 0.3}]}  # fmt: skip
    by = [{"column": HOSTILE, "of": "speakers", "unknown_pairs": 0, "slices": slices}]
    page = page_of(tmp_path, scored_model(HOSTILE, by=by, worst_speakers=worst))
    assert "subsets" in page.ids
    assert "1 speaker, 5 needed" in page.words
    assert "img" not in page.tags
    assert page.words.count("onerror=alert(1)") >= 4


def test_a_folder_is_read_as_it_was_written_and_without_a_corpus_has_no_band(tmp_path):
    model = scored_model()
    (found,) = read_folder(write_folder(tmp_path / "one", model))
    assert found.scores.tolist() == model.scores.tolist()
    assert found.speakers is None
    page = evaluation_report.write_evaluation_report([tmp_path / "one"], tmp_path / "page.html")
    assert "No band" in Words(page).words


def test_other_pairs_and_other_folders_are_refused(tmp_path):
    other = scored_model("b/t0001", pairs=pairs_of(6))
    other.listed["sha256"] = "d" * 64
    with pytest.raises(UsageError, match="other pairs"):
        page_of(tmp_path, scored_model(), other)
    with pytest.raises(UsageError, match="not the folder of an evaluation"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="at most 5"):
        page_of(tmp_path, *(scored_model(f"a/t{n}") for n in range(6)))


def test_evaluate_writes_its_page_with_an_earlier_evaluation_beside_it(tmp_path, home, capsys):
    corpus = untrained_search.make_corpus(tmp_path / "corpus", speakers=15, utterances=3)
    untrained_search.make_search(home, corpus, "night")
    line = ["evaluate", "night/t0002", "--corpus", str(corpus), "--pairs", "valid_trials.txt"]
    assert app.run([*line, "--out", str(tmp_path / "one")]) == 0
    capsys.readouterr()
    line[1] = "night/t0003"
    page = tmp_path / "page.html"
    more = ["--overlay", str(tmp_path / "one"), "--report", str(page), "--json"]
    assert app.run([*line, "--out", str(tmp_path / "two"), *more]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["trial"] == "t0003"
    words = Words(page).words
    assert "night/t0002" in words
    assert "night/t0003" in words
    assert "Bands: 95 % intervals" in words


def test_options_of_the_page_need_the_page(capsys):
    line = ["evaluate", "night/t0002", "--corpus", "c", "--pairs", "p"]
    for more, said in (
        (["--png"], "belong to --report"),
        (["--overlay", "d"], "belong to --report"),
        (["--report", "page.pdf"], "name a file .html"),
    ):
        code, message = failed(capsys, *line, *more)
        assert (code, said in message) == (2, True)
    assert not Path("page.pdf").exists()
