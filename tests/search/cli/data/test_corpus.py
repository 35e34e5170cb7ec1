"""The verbs that prepare a corpus."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from search.cli.app import run
from tests.support.command_line import answered, failed


def test_a_corpus_that_is_not_there_exits_2_with_its_path(capsys, tmp_path):
    code, said = failed(capsys, "corpus", "check", str(tmp_path / "none"))
    assert code == 2
    assert str(tmp_path / "none") in said


def test_a_wrong_line_of_a_list_exits_2_with_its_number(capsys, tmp_path):
    (tmp_path / "train_list.txt").write_text("anna wav/anna/1.wav\nbert\n")
    assert run(["corpus", "check", str(tmp_path)]) == 2
    assert "train_list.txt:2" in capsys.readouterr().out
    code, said = failed(capsys, "corpus", "pack", str(tmp_path))
    assert code == 2
    assert "train_list.txt:2" in said


def test_check_shows_findings_by_kind_in_text_and_in_json(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    quiet = [speech / "wav" / speaker / "0.wav" for speaker in "abcdef"]
    for path in quiet:
        soundfile.write(path, np.zeros(16000, np.int16), 16000)
    assert run(["corpus", "check", str(speech)]) == 2
    out, err = capsys.readouterr()
    assert "error: silent utterances in pairs (4)" in out
    assert "warning: silent utterances (2)" in out
    assert all(str(path) in out for path in quiet)
    assert "  remedy: awk " in out
    assert "largest batches: 2 speakers x 1, 2 speakers x 2, 2 speakers x 4" in out
    assert "4 errors in all" in err
    assert run(["corpus", "check", str(speech), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    error, warning, few = report["findings"]
    assert (few["kind"], few["severity"]) == ("few_dev_speakers", "warning")
    assert (error["kind"], error["severity"], error["count"]) == ("silent_in_pair", "error", 4)
    assert (warning["kind"], warning["severity"], warning["count"]) == ("silent", "warning", 2)
    assert set(map(str, quiet)) == {
        text.partition(":")[0] for found in (error, warning) for text in found["first"]
    }
    assert report["silent"] == 6
    assert report["carries"]["batches"][0] == {"speakers": 2, "utterances": 1}
    assert len(report["problems"]) == 4


def test_warnings_alone_exit_0(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    (speech / "wav" / "a" / "more.dss").write_bytes(b"dss")
    out = answered(capsys, "corpus", "check", str(speech))
    assert "1 .dss ignored" in out
    assert json.loads(answered(capsys, "corpus", "check", str(speech), "--json"))["problems"] == []


def test_packing_counts_what_it_does_not_read(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    for name in ("0.txt", "1.txt", "more.dss"):
        (speech / "wav" / "a" / name).write_bytes(b"x")
    assert run(["corpus", "pack", str(speech), "--workers", "1"]) == 0
    told = capsys.readouterr().err
    assert "not read: 1 .dss ignored, such as " in told
    assert "not read: 2 .txt, such as " in told


def test_packing_says_which_utterances_were_scaled(capsys, speech, caplog):
    answered(capsys, "corpus", "split", str(speech))
    loud = speech / "wav" / "a" / "0.wav"
    soundfile.write(loud, np.tile([2.0, -1.0], 8000), 16000, subtype="FLOAT")
    answered(capsys, "corpus", "pack", str(speech))
    assert f"divided by the largest: {loud} (2)" in caplog.text


def test_packing_refuses_a_silent_utterance_of_a_pair_and_makes_no_store(capsys, speech, home):
    answered(capsys, "corpus", "split", str(speech))
    pair = (speech / "test_trials.txt").read_text().split()[1]
    soundfile.write(speech / pair, np.zeros(16000, np.int16), 16000)
    code, said = failed(capsys, "corpus", "pack", str(speech))
    assert code == 2
    assert f"{speech / pair}: silent" in said
    assert "awk " in said
    assert "the same command goes on behind it" in said
    assert list((home / "corpora").glob("[!.]*")) == []


@pytest.fixture
def speech(tmp_path):
    """Six speakers with four seconds of noise each."""
    folder = tmp_path / "speech"
    rng = np.random.default_rng(0)
    for speaker in "abcdef":
        (folder / "wav" / speaker).mkdir(parents=True)
        for number in range(4):
            path = folder / "wav" / speaker / f"{number}.wav"
            soundfile.write(path, rng.normal(0, 0.1, 16000), 16000, subtype="PCM_16")
    return folder


def test_split_writes_lists_once_and_check_counts_them(capsys, speech):
    assert "2 speakers in dev" in answered(capsys, "corpus", "split", str(speech))
    counts = json.loads(answered(capsys, "corpus", "check", str(speech), "--json"))
    assert counts["schema"] == "spksearch.corpus/1"
    assert counts["speakers"] == {"train": 2, "dev": 2, "test": 2}
    assert counts["seconds"]["train"] == pytest.approx(8)
    code, said = failed(capsys, "corpus", "split", str(speech))
    assert code == 2
    assert "there already" in said


def test_check_names_the_file_that_cannot_be_read_and_exits_2(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    (speech / "wav" / "a" / "0.wav").write_bytes(b"")
    assert run(["corpus", "check", str(speech)]) == 2
    out, err = capsys.readouterr()
    assert "wav/a/0.wav" in out
    assert "1 of 24" in err


def test_packing_twice_gives_the_same_store(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    first = answered(capsys, "corpus", "pack", str(speech))
    assert Path(first.strip(), "audio.i16").is_file()
    assert answered(capsys, "corpus", "pack", str(speech)) == first


def test_a_home_that_cannot_be_written_exits_3(capsys, speech, tmp_path, monkeypatch):
    answered(capsys, "corpus", "split", str(speech))
    blocked = tmp_path / "file"
    blocked.touch()  # root may write everywhere, but a file is no folder even for root
    monkeypatch.setenv("SPKSEARCH_HOME", str(blocked / "home"))
    assert failed(capsys, "corpus", "pack", str(speech))[0] == 3


def test_a_check_names_the_import_and_the_import_makes_a_corpus(capsys, speech, tmp_path):
    data = tmp_path / "kaldi data"
    data.mkdir()
    files = sorted((speech / "wav").rglob("*.wav"))
    names = [f"{path.parent.name}-{path.stem}" for path in files]
    rows = zip(names, files, strict=True)
    (data / "wav.scp").write_text("".join(f"{name} {path}\n" for name, path in rows))
    (data / "utt2spk").write_text("".join(f"{name} {name[0]}\n" for name in names))
    assert run(["corpus", "check", str(data)]) == 2
    remedy = next(
        line.strip().removeprefix("remedy: spksearch ")
        for line in capsys.readouterr().out.splitlines()
        if "remedy: " in line
    )
    made = answered(capsys, *shlex.split(remedy), "--to", str(tmp_path / "made"))
    assert f"{tmp_path / 'made'}: 24 utterances; speakers: 4 in train, 2 in dev" in made
    answered(capsys, "corpus", "check", str(tmp_path / "made"))
    code, said = failed(capsys, *shlex.split(remedy), "--to", str(tmp_path / "made"))
    assert code == 2
    assert "is there already" in said
