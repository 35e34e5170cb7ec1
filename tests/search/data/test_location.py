"""A search on a URI is the search on the folder that was put there."""

import json
import shutil
from pathlib import Path

import pytest

from search.cli import app
from search.core.errors import UsageError
from search.data import location
from spkmodel.data.corpus import open_corpus
from tests.support.untrained_search import make_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def uri(corpus, tmp_path, spksearch_home, capsys):
    place = f"file://{tmp_path}/bucket/speech"
    assert app.run(["corpus", "pack", str(corpus), "--to", place]) == 0
    assert place in capsys.readouterr().out
    for packed in (spksearch_home / "corpora").iterdir():  # as on another machine
        packed.rename(tmp_path / packed.name)
    return place


def test_a_corpus_at_a_uri_has_the_lists_of_its_folder(uri, corpus):
    there, folder = location.open_corpus_at(uri, 0), open_corpus(corpus)
    assert sorted(there.train, key=str) == sorted(folder.train, key=str)
    assert set(there.dev_pairs) == set(folder.dev_pairs)
    assert there.test_pairs == folder.test_pairs
    assert {path: folder.speaker_of[path] for path in there.speaker_of} == there.speaker_of
    longest = location.find_longest_seconds(uri, there, enough=1e9)
    assert longest == pytest.approx(folder.longest_seconds(enough=1e9))


def test_no_test_pair_is_left_on_the_machine_that_launches(uri, spksearch_home):
    location.open_corpus_at(uri, 0)
    assert list(spksearch_home.rglob("audio.i16"))
    assert not list(spksearch_home.rglob("test_trials*"))


def test_a_uri_is_checked_as_its_folder_is(uri, corpus, capsys):
    counts = []
    for place in (uri, str(corpus)):
        assert app.run(["corpus", "check", place, "--json"]) == 0
        # At a URI there is no file: an utterance is named by its path in the lists.
        counts.append(json.loads(capsys.readouterr().out.replace(f"{corpus}/", "")))
    at_uri, at_path = counts
    assert at_uri.pop("folder") == uri
    assert at_path.pop("folder") == str(corpus)
    assert at_uri == at_path


@pytest.mark.usefixtures("spksearch_home")
def test_repeated_pairs_are_named_at_a_uri_as_in_a_folder(corpus, tmp_path, capsys):
    lists = {name: (corpus / name).read_text() for name in ("valid_trials.txt", "test_trials.txt")}
    folder = tmp_path / "twice"
    shutil.copytree(corpus, folder)
    for name, text in lists.items():
        (folder / name).write_text(text + text)
    uri = f"file://{tmp_path}/store"
    assert app.run(["corpus", "pack", str(folder), "--to", uri]) == 0
    capsys.readouterr()
    for place in (str(folder), uri):
        assert app.run(["corpus", "check", place, "--json"]) == 0
        findings = {each["kind"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
        repeated = findings["repeated_pair"]
        assert repeated["count"] == sum(len(text.splitlines()) for text in lists.values())
        line = len(lists["valid_trials.txt"].splitlines()) + 1
        assert repeated["first"][0].endswith(f"valid_trials.txt:{line}: the pair of line 1 again")


@pytest.mark.parametrize("name", ["audio.i16", "test_trials.txt"])
@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_check_of_a_uri_reads_what_lies_there_whatever_was_fetched_before(
    uri, capsys, name, damage
):
    assert app.run(["corpus", "check", uri]) == 0
    path = Path(uri.removeprefix("file://")) / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    capsys.readouterr()
    assert app.run(["corpus", "check", uri]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert "publish" in said


def test_lists_and_tables_of_a_uri_are_at_hand_for_a_while(corpus, tmp_path, spksearch_home):
    whole = tmp_path / "whole"
    shutil.copytree(corpus, whole)
    (whole / "speakers.tsv").write_text("speaker\tgender\nv12\tf\n")
    place = f"file://{tmp_path}/bucket/whole"
    assert app.run(["corpus", "pack", str(whole), "--to", place]) == 0
    with location.open_lists(place) as folder:
        for name in ("train_list.txt", "valid_trials.txt", "test_trials.txt", "speakers.tsv"):
            assert sorted((folder / name).read_text().split("\n")) == sorted(
                (whole / name).read_text().split("\n")
            )
    assert not folder.exists()
    assert not list(spksearch_home.rglob("test_trials*"))
    with location.open_lists(whole) as folder:
        assert folder == whole


@pytest.mark.parametrize("place", ["data/speech", "/shared/corpora/speech", "./s3"])
def test_a_path_stays_a_path(place):
    assert location.parse_location(place) == Path(place)


def test_a_uri_stays_as_it_is_but_for_a_last_slash():
    assert (
        location.parse_location("s3://bucket/speech/?region=eu-1")
        == "s3://bucket/speech/?region=eu-1"
    )
    assert location.parse_location("s3://bucket/speech/") == "s3://bucket/speech"


@pytest.mark.parametrize("place", ["s3://key:hunter2@bucket/x", "s3://bucket/x?secret_key=hunter2"])
def test_a_uri_with_a_secret_is_refused_without_repeating_it(place):
    with pytest.raises(UsageError, match="environment") as caught:
        location.parse_location(place)
    assert "hunter2" not in str(caught.value)


def test_pack_to_a_path_is_a_usage_error(corpus, tmp_path, capsys):
    assert app.run(["corpus", "pack", str(corpus), "--to", str(tmp_path / "x")]) == 2
    assert "--to takes a URI" in capsys.readouterr().err


@pytest.mark.parametrize("condition", ["clean", "mismatched"])
def test_settings_of_a_uri_record_it_with_its_hash_and_the_corpus_of_the_folder(
    uri, corpus, spksearch_home, tmp_path, condition
):
    from search.core.progress import Silent
    from search.launch import preparation
    from search.launch.settings import LaunchRequest
    from search.space import loader
    from spkmodel.data import store_manifest

    space = loader.load(_space(tmp_path))
    made = []
    for place in (uri, corpus):
        request = LaunchRequest(space=str(space.name), corpus=place, dev_condition=condition)
        checked = preparation.open_checked_corpus(request, loader.branches(space), None)
        made.append(preparation.prepare_settings(request, None, space, checked, Silent()))
    at_uri, at_path = made
    assert at_uri.corpus_sha256 == at_path.corpus_sha256
    assert (at_uri.corpus, at_uri.store) == (uri, uri)
    assert at_uri.store_sha256 == store_manifest.read_manifest(uri).sha256
    assert at_path.store_sha256 == ""
    if condition == "clean":
        assert at_uri.dev_store == uri
    else:
        assert Path(at_uri.dev_store).is_relative_to(spksearch_home)
    assert location.find_store_folder(at_uri) == Path(at_path.store)


def _space(folder):
    path = folder / "question.py"
    path.write_text(
        '"""Which rate?"""\n'
        "from optuna import Trial\n\n"
        "from spkmodel.config import AdamW, Batches, TDNN, TrainConfig\n\n\n"
        "def space(trial: Trial) -> TrainConfig:\n"
        "    return TrainConfig(\n"
        "        encoder=TDNN(channels=16, dilations=(2,), embedding_dim=16),\n"
        "        batches=Batches(speakers=4, utterances=2, crop_seconds=0.5),\n"
        '        optimiser=AdamW(learning_rate=trial.suggest_float("rate", 1e-4, 1e-2)),\n'
        "    )\n"
    )
    return str(path)
