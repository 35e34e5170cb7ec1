"""Evaluation of checkpoints and folders: figures, files, lists that are wrong."""

import json
import shutil
from pathlib import Path

import pytest

from search.checkpoints import selection
from search.cli import app
from search.core.atomic_folder import fill_folder
from search.core.errors import NotFound, SpksearchError, UsageError
from search.evaluation import access_record, evaluate
from search.models import loader
from search.reporting import snapshot
from spkmodel.data.lists import ListError
from spkmodel.data.store import Store
from spkmodel.verification import embed_and_score, metrics
from spkmodel.verification.intervals import LEAST_SPEAKERS
from tests.support import untrained_search
from tests.support.events import append


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPKSEARCH_HOME", str(folder))
        for variable in ("SPKSEARCH_NOISE", "SPKSEARCH_ROOMS"):
            patch.delenv(variable, raising=False)
        yield folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return untrained_search.make_corpus(tmp_path_factory.mktemp("evaluate-corpus"))


@pytest.fixture(scope="module")
def tiny(home, corpus):
    return untrained_search.make_search(home, corpus, "night")


@pytest.fixture
def store(tiny):
    return Store.open(Path(tiny.ledger.state().search.store))


def lines_of(path):
    return [line.split() for line in path.read_text().splitlines()]


def test_a_trial_is_judged_on_a_list_of_the_corpus(tiny, corpus, store, tmp_path):
    report = evaluate.evaluate("night/t0003", corpus, Path("valid_trials.txt"), out=tmp_path / "o")
    document = report.document
    encoder = untrained_search.random_encoder(4)
    verdict = embed_and_score.evaluate_encoder(encoder, store, store.dev_pairs)
    assert document["eer"] == verdict.eer
    assert document["eer_low"] <= document["eer"] <= document["eer_high"]
    assert document["eer_rocch"] <= document["eer"] <= document["eer_clova"]
    assert document["list"]["speakers"] == 6
    assert document["list"]["split"] == "dev"
    assert document["model"]["parameters"] > 0
    assert {path.name for path in report.folder.iterdir()} == {
        "report.json",
        "scores.txt",
        "det.png",
        "histogram.png",
    }
    assert json.loads((report.folder / "report.json").read_text()) == document
    rows = lines_of(report.folder / "scores.txt")
    assert [float(row[3]) for row in rows] == verdict.scores.tolist()
    assert tiny.ledger.state().evaluations == []  # dev pairs may be looked at


def test_floors_stand_beside_the_network_on_the_same_pairs(tiny, corpus, tmp_path):
    report = evaluate.evaluate(
        str(tiny.checkpoint("t0002", 3)), corpus, Path("valid_trials.txt"), out=tmp_path / "o"
    )
    names = [floor["name"] for floor in report.document["floors"]]
    assert names == ["mel statistics, cosine", "mel statistics, LDA, cosine"]
    text = "\n".join(evaluate.format_summary(report))
    assert "276 pairs (36 target) of 6 speakers" in text
    assert "mel statistics, LDA" in text


@pytest.mark.usefixtures("tiny")
def test_pairs_of_two_speakers_have_an_eer_and_the_reason_for_no_interval(corpus, tmp_path):
    speakers = sorted({Path(row[1]).parent for row in lines_of(corpus / "valid_trials.txt")})[:2]
    rows = [
        row
        for row in lines_of(corpus / "valid_trials.txt")
        if {Path(row[1]).parent, Path(row[2]).parent} <= set(speakers)
    ]
    listed = tmp_path / "two.txt"
    listed.write_text("".join(" ".join(row) + "\n" for row in rows))
    report = evaluate.evaluate("night/t0003", corpus, listed, out=tmp_path / "o")
    reason = f"2 speakers; an interval needs at least {LEAST_SPEAKERS}"
    for found in (report.document, *report.document["floors"]):
        assert (found["eer_low"], found["eer_high"]) == (None, None)
        assert (found["speakers"], found["why_no_interval"]) == (2, reason)
    assert f"(no interval: {reason})" in "\n".join(evaluate.format_summary(report))


@pytest.mark.usefixtures("tiny")
def test_pairs_without_evidence_are_counted_and_named_with_their_lines(corpus, tmp_path, capsys):
    rows = lines_of(corpus / "valid_trials.txt")
    _, one, other = rows[0]
    rows += [["1", one, one], [rows[0][0], other, one]]
    listed = tmp_path / "mine.txt"
    listed.write_text("".join(" ".join(row) + "\n" for row in rows))
    line = ["evaluate", "night/t0003", "--corpus", str(corpus), "--pairs", str(listed), "--json"]
    assert app.run([*line, "--out", str(tmp_path / "o")]) == 0
    said = capsys.readouterr()
    counts = json.loads(said.out)["list"]
    assert (counts["self_pairs"], counts["repeated_pairs"]) == (1, 1)
    assert f"(line {len(rows) - 1}); they are counted" in said.err
    assert f"(line {len(rows)}); they are counted" in said.err


@pytest.mark.usefixtures("tiny")
def test_the_same_evaluation_may_replace_itself_and_no_other(corpus, tmp_path):
    out = tmp_path / "o"
    first = evaluate.evaluate("night/t0003", corpus, Path("valid_trials.txt"), out=out)
    again = evaluate.evaluate("night/t0003", corpus, Path("valid_trials.txt"), out=out)
    assert first.document["eer"] == again.document["eer"]
    with pytest.raises(UsageError, match="choose another --out"):
        evaluate.evaluate("night/t0002", corpus, Path("valid_trials.txt"), out=out)
    assert lines_of(out / "scores.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


@pytest.mark.usefixtures("tiny")
def test_an_unknown_utterance_is_an_error_with_its_line(corpus, tmp_path):
    listed = tmp_path / "mine.txt"
    listed.write_text("1 wav/v06/0.wav wav/v06/1.wav\n0 wav/v06/0.wav wav/v99/1.wav\n")
    with pytest.raises(ListError, match=r"mine\.txt:2: wav/v99/1\.wav cannot be opened"):
        evaluate.evaluate("night/t0003", corpus, listed, out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.usefixtures("tiny")
def test_a_list_that_is_nowhere_is_named(corpus, tmp_path):
    with pytest.raises(UsageError, match="neither here nor in"):
        evaluate.evaluate("night/t0003", corpus, Path("nowhere.txt"), out=tmp_path / "o")


@pytest.mark.usefixtures("tiny")
def test_pairs_across_splits_have_no_mismatched_condition(corpus, tmp_path):
    listed = tmp_path / "mixed.txt"
    listed.write_text("1 wav/v06/0.wav wav/v06/1.wav\n0 wav/v06/0.wav wav/v12/1.wav\n")
    with pytest.raises(UsageError, match="several splits"):
        evaluate.evaluate("night/t0003", corpus, listed, "mismatched", tmp_path / "o")


def test_dev_pairs_hear_the_surroundings_of_dev(tiny, corpus, store, tmp_path):
    evaluate.evaluate(
        "night/t0003", corpus, Path("valid_trials.txt"), "mismatched", out=tmp_path / "o"
    )
    made = [path.name for path in store.folder.glob("mismatched-*")]
    assert [name.split("-")[1] for name in made] == ["dev"]
    assert tiny.ledger.state().evaluations == []


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("condition", ["short", "codec"])
def test_a_condition_that_takes_place_nowhere_names_no_surroundings(corpus, tmp_path, condition):
    report = evaluate.evaluate(
        "night/t0003", corpus, Path("test_trials.txt"), condition, out=tmp_path / "o"
    )
    assert report.document["condition"] == condition
    assert report.document["surroundings"] == ""
    assert 0 <= report.document["eer"] <= 1


def test_a_checkpoint_that_was_changed_is_refused(tiny, tmp_path):
    choice = selection.select_checkpoint(tiny.ledger.state(), tiny.home / "night", "t0003")
    folder = tmp_path / "changed"
    shutil.copytree(choice.folder, folder)
    untrained_search.write_checkpoint(folder, untrained_search.random_encoder(8))
    changed = selection.SelectedCheckpoint(choice.trial, choice.report, folder)
    with pytest.raises(SpksearchError, match="SHA-256"):
        loader.read_selected("night", changed, "cpu")


def test_of_a_trial_the_best_epoch_whose_checkpoint_is_there_counts(tiny):
    state, folder = tiny.ledger.state(), tiny.home / "night"
    best = selection.select_checkpoint(state, folder, "t0003")
    hidden = best.folder.with_name("hidden")
    best.folder.rename(hidden)
    try:
        other = selection.select_checkpoint(state, folder, "t0003")
    finally:
        hidden.rename(best.folder)
    assert {best.report.epoch, other.report.epoch} == {1, 3}
    assert best.report.objective <= other.report.objective


def test_what_is_promoted_is_what_the_tables_call_best(tiny):
    state = tiny.ledger.state()
    choice = selection.select_checkpoint(state, tiny.home / "night")
    best = snapshot.find_best(state)
    assert (choice.trial.trial, choice.report.epoch) == (best.trial, best.epoch)
    every = [r.objective for t in state.trials.values() for r in t.reports.values()]
    assert choice.report.objective == min(every)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("night/t0099", NotFound, "no trial 't0099'"),
        ("nothing/t0001", NotFound, "no search 'nothing'"),
        ("no-such-thing", NotFound, "searches here: night"),
        ("{folder}", UsageError, "holds neither encoder.safetensors nor a checkpoint"),
        (
            "{folder}/old.model",
            UsageError,
            "not a torch file; right is a file that voxceleb_trainer",
        ),
        ("models:/name", UsageError, "models:/NAME@ALIAS"),
    ],
)
def test_what_is_no_model_is_told_what_is(source, error, words, tmp_path):
    (tmp_path / "old.model").write_bytes(b"pickled")
    with pytest.raises(error, match=words):
        loader.load(source.format(folder=tmp_path), "cpu", "sqlite://")


def test_nothing_that_came_with_a_model_is_unpickled(tmp_path):
    (tmp_path / "encoder.safetensors").write_bytes(b"\x80\x04\x95 a pickle, not safetensors")
    (tmp_path / "config.json").write_text(untrained_search.CONFIG.model_dump_json())
    with pytest.raises(UsageError, match="not a promoted model"):
        loader.read_promoted(tmp_path, "cpu")


def test_a_folder_that_is_being_written_is_not_there_if_the_writer_dies(tmp_path):
    def write_half_of_it():
        with fill_folder(tmp_path / "result") as beside:
            (beside / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half_of_it()
    assert list(tmp_path.iterdir()) == []


def test_looks_are_counted_up_to_the_same_look(tmp_path):
    from search.ledger.ledger import Ledger

    with Ledger.open(tmp_path / "x" / "ledger.jsonl", write=True) as ledger:
        for model, pairs in (("a", "L"), ("b", "L"), ("b", "M"), ("c", "L")):
            fields = {"list": {"sha256": pairs}, "sha256": model, "conditions": ["clean"]}
            append(ledger, "evaluated", trial="t0001", metrics={}, **fields)
        assert access_record.count_accesses_before(ledger, "L", "b", "clean") == (1, True)
        assert access_record.count_accesses_before(ledger, "L", "b", "mismatched") == (3, False)
        assert access_record.count_accesses_before(ledger, "N", "a", "clean") == (0, False)


def test_the_threshold_parts_scores_as_the_rates_say(tiny, corpus, tmp_path):
    report = evaluate.evaluate("night/t0003", corpus, Path("valid_trials.txt"), out=tmp_path / "o")
    rows = lines_of(report.folder / "scores.txt")
    scores, targets = [float(row[3]) for row in rows], [row[0] == "1" for row in rows]
    miss, false_alarm = metrics.rates_at(scores, targets, report.document["threshold"])
    assert abs(miss - false_alarm) <= 1 / sum(targets)
    assert tiny.name == "night"


# --- a corpus at a URI; last, since looks at test pairs are counted ------------------------------


@pytest.fixture(scope="module")
def uri(tiny, tmp_path_factory):
    place = f"file://{tmp_path_factory.mktemp('bucket')}/speech"
    folder = tmp_path_factory.mktemp("with-tables") / "speech"
    shutil.copytree(tiny.corpus, folder)
    speakers = "".join(f"v{number:02d}\t{'fm'[number % 2]}\n" for number in range(18))
    (folder / "speakers.tsv").write_text(f"speaker\tgender\n{speakers}")
    assert app.run(["corpus", "pack", str(folder), "--to", place]) == 0
    return place, folder


@pytest.mark.parametrize("pairs", ["valid_trials.txt", "test_trials.txt"])
@pytest.mark.usefixtures("tiny")
def test_a_corpus_at_a_uri_gives_the_figures_of_its_folder(uri, pairs, tmp_path, capsys):
    documents = []
    for place in map(str, uri):
        line = ["evaluate", "night/t0003", "--corpus", place, "--pairs", pairs, "--by", "gender"]
        assert app.run([*line, "--out", str(tmp_path / f"o{len(documents)}"), "--json"]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    for document in documents:
        for name in ("folder", "seconds", "time", "looks"):
            document.pop(name)
    assert documents[0] == documents[1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--pairs", "mine.txt"], "--pairs: no list mine.txt, neither here nor at file://"),
        (
            ["--pairs", "test_trials.txt", "--calibrate-on", "mine.txt"],
            "--calibrate-on: no list mine.txt, neither here nor at file://",
        ),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_a_list_that_is_not_at_a_uri_is_named_with_those_that_are(uri, flags, said, capsys):
    assert app.run(["evaluate", "night/t0003", "--corpus", uri[0], *flags]) == 2
    words = capsys.readouterr().err
    assert said in words
    assert "speakers.tsv, test_trials.txt, train_list.txt, valid_trials.txt" in words


@pytest.mark.usefixtures("tiny")
def test_an_utterance_that_is_not_packed_at_a_uri_is_an_error_with_its_line(uri, tmp_path, capsys):
    listed = tmp_path / "mine.txt"
    listed.write_text("1 wav/v06/0.wav wav/v06/1.wav\n0 wav/v06/0.wav wav/v99/1.wav\n")
    line = ["evaluate", "night/t0003", "--corpus", uri[0], "--pairs", str(listed)]
    assert app.run([*line, "--out", str(tmp_path / "o")]) == 2
    assert "mine.txt:2: wav/v99/1.wav is not an utterance" in capsys.readouterr().err
