"""The processes that decode, and the places of what they decode."""

import os
import signal

import numpy as np
import pytest

from spkmodel.data.audio import AudioError
from spkmodel.data.packing import parts
from spkmodel.data.packing.decoding import Chunk, DecodedChunk, plan_chunks
from spkmodel.data.packing.parts import Piece, Placement, write_piece
from spkmodel.data.packing.worker import Setting, WriteOrder, Written
from spkmodel.data.packing.workers import _Process
from tests.support.corpora.small_corpus import make_small_corpus


def test_places_do_not_depend_on_how_lengths_come_in(monkeypatch):
    monkeypatch.setattr(parts, "PART_SAMPLES", 10)
    lengths = [4, 5, 3, 0, 7, 10, 12, 1]
    together = Placement()
    assert together.place(lengths) == [
        Piece(0, 0, 2),
        Piece(1, 0, 3),
        Piece(2, 0, 1),
        Piece(3, 0, 1),
        Piece(4, 0, 1),
    ]
    alone = Placement()
    places = [alone.place([length])[0] for length in lengths]
    assert [(piece.part, piece.start) for piece in places] == [
        *((0, 0), (0, 4), (1, 0), (1, 3), (1, 3)),
        *((2, 0), (3, 0), (4, 0)),
    ]
    assert alone.filled == together.filled == [9, 10, 10, 12, 1]


def test_a_write_that_ends_early_goes_on_where_it_ended(tmp_path, monkeypatch):
    really = os.pwritev
    rng = np.random.default_rng(0)

    def some(descriptor, buffers, at):
        return really(descriptor, [buffers[0][: rng.integers(1, 9)]], at)

    monkeypatch.setattr(os, "pwritev", some)
    waveforms = [np.arange(n, dtype=np.int16) for n in (5, 0, 20, 1)]
    write_piece(tmp_path, Piece(0, 3, 4), waveforms)
    written = np.fromfile(tmp_path / "audio.i16", dtype="<i2")
    np.testing.assert_array_equal(written, np.concatenate([np.zeros(3, np.int16), *waveforms]))


def test_chunks_have_each_file_once_and_about_equal_work():
    paths = [f"{number}.wav" for number in range(100)]
    sizes = np.array([1 << 20] * 50 + [10] * 50)
    chunks = plan_chunks(paths, sizes, 3, most_files=20)
    assert [path for chunk in chunks for path in chunk.paths] == paths[3:]
    assert [chunk.first for chunk in chunks][:3] == [3, 7, 11]
    assert max(len(chunk.paths) for chunk in chunks) == 20
    assert plan_chunks(paths, sizes, 100, most_files=20) == []


@pytest.fixture
def process(tmp_path):
    make_small_corpus(tmp_path / "corpus", speakers=3)
    (tmp_path / "store").mkdir()
    with _Process(Setting(tmp_path / "corpus", tmp_path / "store", False), -1) as made:
        yield made


def test_a_process_decodes_first_and_writes_where_it_is_told(process, tmp_path):
    process.send(Chunk(7, ["wav/s0/u0.wav", "wav/s0/u9.wav", "wav/s1/u0.wav"]))
    decoded = process.receive()
    assert isinstance(decoded, DecodedChunk)
    assert decoded.records["samples"].tolist() == [2000, -1, 2100]
    assert list(decoded.problems) == [8]
    process.send(WriteOrder(7, [Piece(0, 100, 2), Piece(1, 0, 1)]))
    assert process.receive() == Written(7)
    assert (tmp_path / "store/audio.i16").stat().st_size == 2 * 2100
    assert (tmp_path / "store/audio_1.i16").stat().st_size == 2 * 2100


def test_a_disk_that_fails_is_told_as_it_is(process, tmp_path):
    process.send(Chunk(0, ["wav/s0/u0.wav"]))
    process.receive()
    (tmp_path / "store").rmdir()
    process.send(WriteOrder(0, [Piece(0, 0, 1)]))
    assert isinstance(process.receive(), FileNotFoundError)


def test_the_file_that_ends_its_process_is_named(process):
    process.send(Chunk(0, ["wav/s0/u0.wav", "wav/s0/u1.wav"]))
    process.receive()
    process.send(Chunk(2, [f"wav/s1/u{number % 6}.wav" for number in range(50_000)]))
    while os.pread(process._at.fileno(), 8, 0)[0] < 100:
        pass
    os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(AudioError, match=r"wav/s1/u\d\.wav: the process .* ended \(signal 9\)"):
        process.receive()
