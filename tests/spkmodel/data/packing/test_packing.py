"""Packing: by several processes, in parts, after a kill, with problems."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import spkmodel
from spkmodel.data import audio, store_writing
from spkmodel.data.corpus import open_corpus
from spkmodel.data.packing import parts
from spkmodel.data.packing.records import MARK, RECORD, read_records
from spkmodel.data.packing.unfinished import find_unfinished
from spkmodel.data.store import Store, StoreError
from spkmodel.data.store_writing import pack_corpus
from tests.support.corpora.small_corpus import RATE, make_small_corpus, write_training_list


@pytest.fixture
def folder(tmp_path):
    return make_small_corpus(tmp_path / "corpus")


def pack(folder, home, **options):
    """Pack, and return the store with how much was packed before and what was told."""
    told = []
    packed = pack_corpus(open_corpus(folder), home, progress=lambda *n: told.append(n), **options)
    return Store.open(packed), told


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupted_after(folder, home, done):
    def stop(now, _):
        if now >= done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_corpus(open_corpus(folder), home, progress=stop)


def test_several_processes_write_the_same_bytes_as_one(folder, tmp_path, monkeypatch):
    one, _ = pack(folder, tmp_path / "one", workers=1)
    monkeypatch.setattr(store_writing, "_WORTH_A_PROCESS", 1)
    several, told = pack(folder, tmp_path / "several", workers=3)
    assert contents(one.folder) == contents(several.folder)
    assert len({done for done, _ in told}) > 3
    assert list(find_unfinished(tmp_path / "several" / "corpora")) == []


@pytest.mark.parametrize("most", [3000, 10_000, 50_000])
def test_a_store_in_parts_has_the_same_contents_and_waveforms(folder, tmp_path, monkeypatch, most):
    whole, _ = pack(folder, tmp_path / "whole")
    monkeypatch.setattr(parts, "PART_SAMPLES", most)
    split, _ = pack(folder, tmp_path / "parts")
    assert split.sha256 == whole.sha256
    assert split.folder.name == whole.folder.name
    assert len(split.parts) > 1
    assert all(len(part) <= most for part in split.parts)
    assert split.ids == whole.ids
    for row, utterance in enumerate(whole.ids):
        np.testing.assert_array_equal(split.waveform_at(row), whole.waveform_at(row))
        np.testing.assert_array_equal(split.waveform(utterance), audio.read(folder / utterance))
    assert (split.about["format"], whole.about["format"]) == (2, 1)
    assert "parts" not in whole.about


def test_a_missing_or_cut_part_is_not_opened_and_packing_replaces_the_store(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "PART_SAMPLES", 30_000)
    split, _ = pack(folder, tmp_path)
    os.truncate(split.folder / "audio_1.i16", 100)
    with pytest.raises(StoreError, match=r"audio_1\.i16: 100 bytes"):
        Store.open(split.folder)
    assert pack(folder, tmp_path)[0].sha256 == split.sha256
    (split.folder / "audio_2.i16").unlink()
    with pytest.raises(StoreError, match="not a whole store"):
        Store.open(split.folder)


@pytest.mark.parametrize("most", [5000, 1 << 29])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_packing_goes_on_and_ends_with_the_same_bytes(
    folder, tmp_path, monkeypatch, workers, most
):
    monkeypatch.setattr(store_writing, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(parts, "PART_SAMPLES", most)
    straight, _ = pack(folder, tmp_path / "straight")
    home = tmp_path / "home"
    for done in (5, 11):
        interrupted_after(folder, home, done)
    resumed, told = pack(folder, home, workers=workers)
    assert told[0][0] >= 11
    assert contents(resumed.folder) == contents(straight.folder)
    assert not [path for path in (home / "corpora").iterdir() if path.name.startswith(".")]


def test_after_an_interruption_the_helping_processes_have_ended(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(store_writing, "_WORTH_A_PROCESS", 1)

    def stop(now, _):
        if now > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        pack_corpus(open_corpus(folder), tmp_path, progress=stop, workers=2)
    # The error keeps its frames; a process that went on would hold the lock, and this would wait.
    packed = pack_corpus(open_corpus(folder), tmp_path, workers=2)
    assert caught.tb is not None
    assert Store.open(packed).about["utterances"] == 27


def test_a_file_that_changed_meanwhile_is_packed_anew_with_all_that_follow(folder, tmp_path):
    interrupted_after(folder, tmp_path, 12)
    changed = folder / "wav/s1/u2.wav"  # the ninth
    soundfile.write(changed, np.full(3000, 77, np.int16), RATE)
    store, told = pack(folder, tmp_path)
    assert told[0][0] == 8
    assert store.waveform("wav/s1/u2.wav").tolist() == [77] * 3000
    for utterance in store.ids:
        np.testing.assert_array_equal(store.waveform(utterance), audio.read(folder / utterance))


def test_after_taking_a_bad_file_off_the_list_nothing_is_packed_twice(folder, tmp_path):
    bad = [folder / "wav/s0/u3.wav", folder / "wav/s2/u0.wav"]
    for path in bad:
        path.write_bytes(b"RIFF")
    with pytest.raises(audio.AudioError) as caught:
        pack(folder, tmp_path)
    assert all(str(path) in str(caught.value) for path in bad)
    assert str(caught.value).startswith("2 utterances cannot be packed:\n")
    write_training_list(folder, without=["wav/s0/u3.wav", "wav/s2/u0.wav"])
    store, told = pack(folder, tmp_path)
    assert told == [(25, 25), (25, 25)]
    for utterance in store.ids:
        np.testing.assert_array_equal(store.waveform(utterance), audio.read(folder / utterance))


def test_every_problem_is_named_up_to_twenty_and_the_others_are_counted(folder, tmp_path):
    for path in folder.glob("wav/s[0-3]/*.wav"):
        path.write_bytes(b"RIFF")
    with pytest.raises(audio.AudioError) as caught:
        pack(folder, tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "24 utterances cannot be packed:"
    assert sum("cannot be decoded" in line for line in lines) == 20
    assert lines[21] == "and 4 more"


def test_without_power_only_what_was_on_disk_is_trusted(folder, tmp_path):
    interrupted_after(folder, tmp_path, 12)
    (journal,) = (tmp_path / "corpora").glob(".packing-*.records")
    records = read_records(journal)
    assert (records["samples"] == MARK).sum() == 1
    mark = records[records["samples"] == MARK]
    mark["sha256"] = 7  # of another start of the machine
    mark["size"] = 4
    journal.write_bytes(np.concatenate([records[records["samples"] != MARK], mark]).tobytes())
    _, told = pack(folder, tmp_path)
    assert told[0][0] == 4


def test_a_torn_journal_and_lost_audio_cost_only_what_is_lost(folder, tmp_path):
    interrupted_after(folder, tmp_path, 12)
    (journal,) = (tmp_path / "corpora").glob(".packing-*.records")
    os.truncate(journal, journal.stat().st_size - 5)
    (unfinished,) = find_unfinished(tmp_path / "corpora")
    # The first ten have 2000 ... 2021 samples.
    os.truncate(unfinished / "audio.i16", 2 * (10 * 2000 + 100 * 4))
    store, told = pack(folder, tmp_path)
    assert 0 < told[0][0] < 11
    for utterance in store.ids:
        np.testing.assert_array_equal(store.waveform(utterance), audio.read(folder / utterance))


def test_unfinished_work_that_nobody_has_touched_for_a_week_is_removed(folder, tmp_path):
    interrupted_after(folder, tmp_path, 5)
    other = make_small_corpus(tmp_path / "other", speakers=5)
    (unfinished,) = find_unfinished(tmp_path / "corpora")
    pack(other, tmp_path)
    assert unfinished.exists()
    old = time.time() - 8 * 86_400
    for path in (*unfinished.iterdir(), unfinished):
        os.utime(path, (old, old))
    pack(other, tmp_path)
    assert not [path for path in (tmp_path / "corpora").iterdir() if path.name.startswith(".")]


def test_a_file_that_is_written_to_while_it_is_read_is_an_error(folder, tmp_path, monkeypatch):
    really = audio.decode
    growing = folder / "wav/s0/u1.wav"

    def decode(path, *rest):
        decoded = really(path, *rest)
        if path == growing:
            os.utime(path, (1, 1))
        return decoded

    monkeypatch.setattr(audio, "decode", decode)
    with pytest.raises(audio.AudioError, match=r"u1\.wav: it was written to while it was read"):
        pack(folder, tmp_path)


PROGRAM = """
import sys
from pathlib import Path
from spkmodel.data import store_writing
from spkmodel.data.corpus import open_corpus
store_writing._WORTH_A_PROCESS = 1
store_writing._MOST_FILES = 4
def tell(done, total):
    print(done, flush=True)
corpus, home = open_corpus(Path(sys.argv[1])), Path(sys.argv[2])
store_writing.pack_corpus(corpus, home, progress=tell, workers=2)
"""


def test_a_packing_that_is_killed_loses_next_to_nothing_and_its_helpers_end(tmp_path):
    folder = make_small_corpus(tmp_path / "corpus", speakers=9, utterances=80)
    home = tmp_path / "home"
    root = str(Path(spkmodel.__file__).parents[1])
    packing = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(home)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
        text=True,
    )
    assert packing.stdout is not None
    told_last = 0
    while told_last < 200:
        told_last = int(packing.stdout.readline())
    packing.send_signal(signal.SIGKILL)
    packing.wait()
    rest = [int(line) for line in packing.stdout]
    packing.stdout.close()
    done = max([told_last, *rest])
    assert done < 562
    # The lock that the helpers hold is free once they have ended: this call would wait for ever.
    store, told = pack(folder, home)
    assert told[0][0] >= done
    assert contents(store.folder) == contents(pack(folder, tmp_path / "straight")[0].folder)
    assert not [path for path in (home / "corpora").iterdir() if path.name.startswith(".")]


def test_a_record_is_as_large_as_files_of_earlier_calls_have_it():
    assert RECORD.itemsize == 88
