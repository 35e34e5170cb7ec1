"""`noise check` and `noise pack` on folders laid out as MUSAN and RIRS_NOISES are."""

import json

import numpy as np
import pytest
import soundfile

from search.cli.app import run
from tests.support.corpora.noise_sets import MUSAN, RIRS_NOISES, write_noise_set


@pytest.fixture
def both(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_CACHE", str(tmp_path / "cache"))
    return write_noise_set(tmp_path / "sets", MUSAN + RIRS_NOISES)


def test_check_tells_categories_files_and_splits(both, capsys):
    assert run(["noise", "check", str(both), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = {(row["kind"], row["category"]): row for row in document["categories"]}
    assert rows["ambience", "noise"]["files"] == 15
    assert rows["ambience", "noise"]["splits"] == {"train": 9, "dev": 3, "test": 3}
    assert rows["ambience", "music"]["hours"] == pytest.approx(5 * 2000 / 16_000 / 3600)
    assert [category for kind, category in rows if kind == "room"] == [
        *("small", "medium", "large", "real")
    ]
    assert document["problems"] == []


def test_check_names_every_problem_and_exits_with_2(both, capsys):
    music = both / "musan/music/fma"
    soundfile.write(music / "music-fma-0000.wav", np.zeros(100), 16_000)
    soundfile.write(music / "music-fma-0001.wav", np.ones(100), 8_000)
    (music / "music-fma-0002.wav").write_bytes(b"none")
    soundfile.write(both / "stray.wav", np.ones(100), 16_000)
    for number in range(3):
        (both / f"musan/speech/librivox/speech-librivox-{number:04d}.wav").unlink()
    assert run(["noise", "check", str(both)]) == 2
    out, err = capsys.readouterr()
    for said in ("0000.wav: is empty, silent", "0001.wav: ambiences and rooms must be 16000 Hz"):
        assert said in out.replace("\n", "")
    for said in ("0002.wav", "stray.wav: in no folder", "'speech' has 2 audio files"):
        assert said in out.replace("\n", "")
    assert "5 problems in all" in err


def test_pack_makes_the_stores_that_trials_open_and_says_the_next_command(both, capsys, tmp_path):
    assert run(["noise", "pack", str(both)]) == 0
    out, err = capsys.readouterr()
    assert "noise: 25 files" in out
    assert "rooms: 20 files" in out
    assert f"--noise {both} --rooms {both}" in err.replace("\n", "")
    packs = sorted(path.name.split("-")[0] for path in (tmp_path / "cache").glob("*/[!.]*-*"))
    assert packs == ["ambience", "room"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").glob("*/[!.]*-*/*")}
    assert run(["noise", "pack", str(both)]) == 0
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").glob("*/[!.]*-*/*")}


def test_a_flat_folder_has_to_be_called_noise_or_rooms(both, tmp_path, capsys):
    flat = write_noise_set(tmp_path / "flat", ("{}.wav",))
    assert run(["noise", "pack", str(flat)]) == 2
    assert "--as noise, or --as rooms" in capsys.readouterr().err.replace("\n", " ")
    assert run(["noise", "pack", str(flat), "--as", "rooms"]) == 0
    assert "rooms: 5 files" in capsys.readouterr().out
    assert run(["noise", "check", str(both), "--as", "noise"]) == 2
    assert "leave --as noise out" in capsys.readouterr().err.replace("\n", " ")


def test_one_of_the_two_sets_is_enough(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPKSEARCH_CACHE", str(tmp_path / "cache"))
    rooms = write_noise_set(tmp_path / "rirs", RIRS_NOISES)
    assert run(["noise", "pack", str(rooms)]) == 0
    assert "rooms: 20 files" in capsys.readouterr().out
    musan = write_noise_set(tmp_path / "both", MUSAN)
    assert run(["noise", "pack", str(musan / "musan")]) == 0
    out = capsys.readouterr().out
    assert "noise: 15 files" in out
    assert "rooms" not in out
