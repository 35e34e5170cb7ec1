"""A store appears whole or not at all, once for the same contents."""

import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from spkmodel.data import audio
from spkmodel.data.corpus import open_corpus
from spkmodel.data.store import Store, StoreError
from spkmodel.data.store_writing import pack_corpus, write_store

SPEAKERS = [f"s{n}" for n in range(6)]


def noise(name, samples):
    return np.random.default_rng(list(name.encode())).integers(-9000, 9000, samples, np.int16)


@pytest.fixture
def folder(tmp_path):
    for place, speaker in enumerate(SPEAKERS):
        for number in range(3):
            path = tmp_path / f"corpus/wav/{speaker}/u{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise(f"{speaker}{number}", 2000 + 10 * place), 16_000)
    corpus = tmp_path / "corpus"
    (corpus / "train_list.txt").write_text(
        "".join(f"{s} wav/{s}/u{n}.wav\n" for s in SPEAKERS[:2] for n in range(3))
    )
    for name, (one, other) in {"valid": ("s2", "s3"), "test": ("s4", "s5")}.items():
        (corpus / f"{name}_trials.txt").write_text(
            f"1 wav/{one}/u0.wav wav/{one}/u1.wav\n0 wav/{one}/u0.wav wav/{other}/u2.wav\n"
        )
    return corpus


def files(home):
    return sorted(path.name for path in (home / "corpora").iterdir() if path.is_dir())


def stores(home):
    return [name for name in files(home) if not name.startswith(".")]


def test_a_packed_waveform_is_the_file_bit_for_bit(folder, tmp_path):
    store = Store.open(pack_corpus(open_corpus(folder), tmp_path))
    assert len(store.ids) == 12
    for utterance in store.ids:
        np.testing.assert_array_equal(store.waveform(utterance), audio.read(folder / utterance))
        assert store.speaker(utterance) == utterance.split("/")[1]
    assert store.seconds("wav/s1/u0.wav") == 2010 / 16_000


def test_a_waveform_is_a_view_that_cannot_be_written(folder, tmp_path):
    store = Store.open(pack_corpus(open_corpus(folder), tmp_path))
    with pytest.raises(ValueError, match="read-only"):
        store.waveform("wav/s1/u0.wav")[0] = 1


def test_a_store_knows_splits_speakers_and_dev_pairs_but_no_test_pairs(folder, tmp_path):
    corpus = open_corpus(folder)
    packed = pack_corpus(corpus, tmp_path)
    store = Store.open(packed)
    assert store.train_speakers == ["s0", "s1"]
    assert {split: len(store.of_split(split)) for split in ("train", "dev", "test")} == {
        "train": 6,
        "dev": 3,
        "test": 3,
    }
    assert store.split("wav/s4/u0.wav") == "test"
    assert store.dev_pairs == list(corpus.dev_pairs)
    assert sorted(path.name for path in packed.iterdir()) == [
        "audio.i16",
        "corpus.json",
        "index.npz",
        "train_list.txt",
        "valid_trials.txt",
    ]
    assert packed == tmp_path / "corpora" / store.sha256[:16]


def test_a_store_counts_the_training_utterances_of_each_speaker(folder, tmp_path):
    lines = (folder / "train_list.txt").read_text().splitlines()
    (folder / "train_list.txt").write_text("\n".join(lines[1:]) + "\n")
    store = Store.open(pack_corpus(open_corpus(folder), tmp_path))
    assert store.utterances_of_speakers == [3, 2]


def test_packing_again_reads_no_audio_and_changes_nothing(folder, tmp_path, monkeypatch):
    first = pack_corpus(open_corpus(folder), tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}

    def refuse(*_):
        raise AssertionError("decoded or hashed again")

    monkeypatch.setattr(audio, "read", refuse)
    monkeypatch.setattr("hashlib.file_digest", refuse)
    told = []
    assert pack_corpus(open_corpus(folder), tmp_path, progress=lambda *n: told.append(n)) == first
    assert {path.name: path.stat().st_mtime_ns for path in first.iterdir()} == before
    assert told[-1] == (12, 12)


def test_the_same_contents_elsewhere_are_the_same_store(folder, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    assert pack_corpus(open_corpus(copy), tmp_path) == pack_corpus(open_corpus(folder), tmp_path)


@pytest.mark.parametrize("change", ["audio", "train_list.txt", "valid_trials.txt"])
def test_a_changed_file_or_list_is_another_store(folder, tmp_path, change):
    first = pack_corpus(open_corpus(folder), tmp_path)
    if change == "audio":
        soundfile.write(folder / "wav/s0/u0.wav", noise("new", 2000), 16_000)
    else:
        lines = (folder / change).read_text().splitlines()
        (folder / change).write_text("\n".join([*lines[1:], lines[0]]) + "\n")
    assert pack_corpus(open_corpus(folder), tmp_path) != first
    assert len(files(tmp_path)) == 2


def test_a_damaged_memory_of_hashes_costs_time_only(folder, tmp_path):
    first = pack_corpus(open_corpus(folder), tmp_path)
    (memory,) = (tmp_path / "corpora").glob("digests-*.records")
    for damage in (b"", b"{", memory.read_bytes()[:-3], bytes(200)):
        memory.write_bytes(damage)
        assert pack_corpus(open_corpus(folder), tmp_path) == first


def test_a_corpus_that_cannot_be_written_is_packed(folder, tmp_path):
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        pack_corpus(open_corpus(folder), tmp_path)
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_after_an_error_there_is_no_store_and_the_next_call_leaves_nothing_else(folder, tmp_path):
    soundfile.write(folder / "wav/s4/u1.wav", noise("x", 2000), 8000)
    with pytest.raises(audio.AudioError, match=r"8000 Hz.*--resample"):
        pack_corpus(open_corpus(folder), tmp_path)
    assert stores(tmp_path) == []
    packed = pack_corpus(open_corpus(folder), tmp_path, resample=True)
    assert files(tmp_path) == [packed.name]


def test_what_was_packed_before_an_interruption_is_not_packed_again(folder, tmp_path):
    def interrupt(done, total):
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_corpus(open_corpus(folder), tmp_path, progress=interrupt)
    assert stores(tmp_path) == []
    told = []
    packed = pack_corpus(open_corpus(folder), tmp_path, progress=lambda *n: told.append(n))
    assert told[0] == (7, 12)
    (memory,) = (tmp_path / "corpora").glob("digests-*")
    assert {*(tmp_path / "corpora").iterdir()} == {packed, memory}


def test_a_full_disk_leaves_nothing_behind(folder, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        pack_corpus(open_corpus(folder), tmp_path)
    assert files(tmp_path) == []


def test_a_resampled_store_serves_a_launch_without_the_flag(folder, tmp_path):
    soundfile.write(folder / "wav/s4/u1.wav", noise("x", 2000), 8000)
    packed = pack_corpus(open_corpus(folder), tmp_path, resample=True)
    assert len(Store.open(packed).waveform("wav/s4/u1.wav")) == 4000
    assert pack_corpus(open_corpus(folder), tmp_path) == packed


def test_two_that_pack_at_once_end_with_one_good_store(folder, tmp_path):
    corpus = open_corpus(folder)
    corpus.utterances()
    started = threading.Event()
    decoded = []

    def first(done, _):
        decoded.append(done)
        if done == 4:
            started.set()
            time.sleep(0.2)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(pack_corpus, corpus, tmp_path, progress=first)
        assert started.wait(timeout=10)
        told = []
        other = pool.submit(
            pack_corpus, corpus, tmp_path, progress=lambda done, _: told.append(done)
        )
        packed = [one.result(), other.result()]
    assert packed[0] == packed[1]
    assert decoded[:3] == [0, 1, 2]
    assert told == [12]
    assert files(tmp_path) == [packed[0].name]
    assert len(Store.open(packed[0]).ids) == 12


def truncated(store):
    os.truncate(store / "audio.i16", 100)


def without_index(store):
    (store / "index.npz").unlink()


def with_a_broken_index(store):
    (store / "index.npz").write_bytes(b"PK")


def of_another_format(store):
    about = json.loads((store / "corpus.json").read_text())
    (store / "corpus.json").write_text(json.dumps(about | {"format": 99}))


@pytest.mark.parametrize(
    "damage", [truncated, without_index, with_a_broken_index, of_another_format]
)
def test_a_damaged_store_is_not_opened_and_packing_replaces_it(folder, tmp_path, damage):
    packed = pack_corpus(open_corpus(folder), tmp_path)
    damage(packed)
    with pytest.raises(StoreError, match="remove the folder, the corpus will be packed anew"):
        Store.open(packed)
    assert pack_corpus(open_corpus(folder), tmp_path) == packed
    assert len(Store.open(packed).ids) == 12
    assert files(tmp_path) == [packed.name]


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not a whole store"):
        Store.open(tmp_path)


def test_an_utterance_of_two_splits_is_found_in_both(tmp_path):
    waveform = noise("a", 1600)
    store = write_store(
        tmp_path / "store",
        [("a", "x", "train+dev", waveform), ("b", "y", "dev", waveform)],
        {"sha256": "0"},
    )
    assert store.of_split("train") == ["a"]
    assert store.of_split("dev") == ["a", "b"]
    assert store.split("a") == "train"
    assert store.dev_pairs == []


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_a_store_needs_utterances_each_once(tmp_path, names):
    with pytest.raises(StoreError, match="each once"):
        write_store(
            tmp_path / "store", [(n, "x", "dev", noise(n, 1600)) for n in names], {"sha256": "0"}
        )
    assert list(tmp_path.iterdir()) == []
