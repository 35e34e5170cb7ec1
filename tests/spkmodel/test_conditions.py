"""Conditions: seeded by path, stored once, without clipping."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spkmodel import conditions
from spkmodel.conditions import conditioned_store, hear
from spkmodel.lists import Pair
from spkmodel.store import Store, write_store
from spkmodel.surroundings import Surroundings


def waveform_of(name: str, samples: int = 8000) -> np.ndarray:
    chance = np.random.default_rng(list(name.encode()))
    return (0.1 * chance.standard_normal(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def around() -> Surroundings:
    chance = np.random.default_rng(1)
    room = np.concatenate([[3], chance.standard_normal(800) * np.exp(-np.arange(800) / 100)])
    rooms = ((room / np.linalg.norm(room)).astype(np.float32),)
    ambiences = tuple(chance.standard_normal(9000).astype(np.float32) for _ in range(2))
    return Surroundings(ambiences, rooms, ("a", "b", "c"))


@pytest.fixture
def store(tmp_path) -> Store:
    rows = [
        (f"wav/{speaker}/{k}.wav", speaker, split)
        for speaker, split in (("ann", "train"), ("ben", "dev"), ("cec", "dev"), ("dan", "test"))
        for k in range(2)
    ]
    utterances = [
        (path, speaker, split, (waveform_of(path) * 32767).astype(np.int16))
        for path, speaker, split in rows
    ]
    pairs = [
        Pair(True, "wav/ben/0.wav", "wav/ben/1.wav"),
        Pair(False, "wav/ben/0.wav", "wav/cec/1.wav"),
    ]
    return write_store(tmp_path / "store", utterances, {"sha256": "ab" * 32}, pairs)


def test_clean_is_the_waveform_itself(around):
    waveform = waveform_of("a")
    assert conditions.apply("clean", waveform, "a", around) is waveform


def test_an_utterance_sounds_the_same_whatever_was_heard_before(around):
    first = conditions.apply("mismatched", waveform_of("a"), "a", around)
    conditions.apply("mismatched", waveform_of("b"), "b", around)
    again = conditions.apply("mismatched", waveform_of("a"), "a", around)
    assert np.array_equal(first, again)
    assert first.shape == (8000,)
    assert first.dtype == np.float32


def test_the_same_waveform_under_another_path_sounds_otherwise(around):
    waveform = waveform_of("a")
    one = conditions.apply("mismatched", waveform, "a", around)
    two = conditions.apply("mismatched", waveform, "b", around)
    assert np.abs(one - two).max() > 0.01


_RECIPE = """
import hashlib, numpy as np
from spkmodel import conditions, surroundings
sound = np.sin(np.arange(5000) ** 1.1).astype(np.float32)
around = surroundings.Surroundings((sound,), (sound[2:300],), ("a", "b"))
heard = conditions.hear("mismatched", (9000 * sound).astype(np.int16), "x", around)
digest = hashlib.sha256(heard.tobytes()).hexdigest()
"""


def test_another_process_hears_the_same():
    told = subprocess.run(
        [sys.executable, "-c", _RECIPE + "print(digest)"],
        cwd=Path(conditions.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    here: dict[str, str] = {}
    exec(_RECIPE, here)
    assert told.stdout.strip() == here["digest"]


def test_loud_speech_is_made_quieter_and_does_not_clip(around):
    loud = np.where(np.arange(8000) % 50 < 25, 32767, -32768).astype(np.int16)
    for number in range(8):
        heard = hear("mismatched", loud, f"loud{number}", around)
        assert np.abs(heard.astype(int)).max() <= 0.99 * 32768 + 1
        assert np.mean(np.abs(heard) >= 0.98 * 32768) < 0.1


def test_digital_silence_and_very_short_utterances_are_borne(around):
    assert not hear("mismatched", np.zeros(4000, np.int16), "quiet", around).any()
    assert len(hear("mismatched", np.full(7, 500, np.int16), "short", around)) == 7


def test_the_clean_store_is_the_store_itself(store):
    assert conditioned_store(store, "dev", "clean", None, None) is store


def test_a_conditioned_store_has_its_splits_utterances_under_their_ids(store):
    heard = conditioned_store(store, "dev", "mismatched", None, None)
    assert heard.ids == store.of_split("dev") == heard.of_split("dev")
    assert heard.folder.parent == store.folder
    assert heard.dev_pairs == store.dev_pairs
    for path in heard.ids:
        assert heard.speaker(path) == store.speaker(path)
        assert len(heard.waveform(path)) == len(store.waveform(path))
        assert not np.array_equal(heard.waveform(path), store.waveform(path))
    test = conditioned_store(store, "test", "mismatched", None, None)
    assert test.folder != heard.folder
    assert test.dev_pairs == []


def test_a_conditioned_store_is_made_once_and_anew_when_it_was_damaged(store, monkeypatch):
    heard = conditioned_store(store, "dev", "mismatched", None, None)
    waveform = np.array(heard.waveform("wav/ben/0.wav"))
    stamp = (heard.folder / "audio.i16").stat().st_mtime_ns
    with monkeypatch.context() as patched:
        patched.setattr(conditions, "write_store", None)
        conditioned_store(store, "dev", "mismatched", None, None)
    with (heard.folder / "audio.i16").open("ab") as out:
        out.write(b"xx")
    again = conditioned_store(store, "dev", "mismatched", None, None)
    assert (again.folder / "audio.i16").stat().st_mtime_ns != stamp
    assert np.array_equal(again.waveform("wav/ben/0.wav"), waveform)


def test_a_failure_leaves_no_conditioned_store_behind(store, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(conditions, "hear", broken)
    before = sorted(path.name for path in store.folder.iterdir())
    with pytest.raises(RuntimeError, match="on purpose"):
        conditioned_store(store, "dev", "mismatched", None, None)
    assert sorted(path.name for path in store.folder.iterdir()) == before


def test_a_split_without_utterances_is_an_error(tmp_path):
    bare = write_store(
        tmp_path / "bare", [("a", "ann", "train", np.ones(9, np.int16))], {"sha256": "0" * 64}
    )
    with pytest.raises(ValueError, match="has no test utterances"):
        conditioned_store(bare, "test", "mismatched", None, None)
