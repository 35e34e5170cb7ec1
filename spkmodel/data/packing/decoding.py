"""Decode a chunk of a corpus: each file is read once, hashed and decoded on the way."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spkmodel.data import audio
from spkmodel.data.packing.records import RECORD, UNUSABLE, identify_paths


@dataclass(frozen=True)
class Chunk:
    """Consecutive files of the list of a corpus."""

    first: int
    """Row of its first file."""
    paths: list[str]
    """Relative to the corpus."""


@dataclass(frozen=True)
class DecodedChunk:
    """What came out of a chunk, apart from the samples."""

    first: int
    records: np.ndarray
    problems: dict[int, tuple[str, str]]
    """Message and kind of what cannot be used, by row."""


def decode_chunk(
    folder: Path, chunk: Chunk, resample: bool, begin_file: Callable[[int], None]
) -> tuple[DecodedChunk, list[np.ndarray]]:
    """Return the records of a chunk's files, and the samples of each; none of an unusable one.

    Args:
        folder: of the corpus.
        chunk: of its list.
        resample: convert what is not 16 kHz mono.
        begin_file: called with the row of each file before it is opened.
    """
    records = np.zeros(len(chunk.paths), dtype=RECORD)
    records["key"] = identify_paths(chunk.paths)
    waveforms: list[np.ndarray] = []
    problems: dict[int, tuple[str, str]] = {}
    for place, path in enumerate(chunk.paths):
        row = chunk.first + place
        begin_file(row)
        try:
            waveform = _decode_into(records[place : place + 1], folder / path, resample)
        except audio.AudioError as error:
            records["samples"][place] = UNUSABLE
            problems[row] = (str(error), error.kind)
            waveform = np.zeros(0, dtype=np.int16)
        waveforms.append(waveform)
    return DecodedChunk(chunk.first, records, problems), waveforms


def plan_chunks(
    paths: Sequence[str], sizes: np.ndarray, first: int, most_files: int
) -> list[Chunk]:
    """Cut the files from a row on into chunks of about equal work.

    Args:
        paths: of all files.
        sizes: of all files, in bytes.
        first: row of the first file that is left to do.
        most_files: in one chunk.
    """
    chunks: list[Chunk] = []
    start, left = first, _CHUNK_BYTES
    for row in range(first, len(paths)):
        left -= decoded_bytes(paths[row], int(sizes[row]))
        if left <= 0 or row + 1 - start >= most_files:
            chunks.append(Chunk(start, list(paths[start : row + 1])))
            start, left = row + 1, _CHUNK_BYTES
    if start < len(paths):
        chunks.append(Chunk(start, list(paths[start:])))
    return chunks


_CHUNK_BYTES = 4 << 20
_GROWTH = {".wav": 1, ".flac": 2}
_USUAL_GROWTH = 8


def decoded_bytes(path: str, size: int) -> int:
    """Estimate how many bytes the samples of a file take; lossy ones are about eight times it."""
    return max(size, 0) * _GROWTH.get(os.path.splitext(path)[1].lower(), _USUAL_GROWTH)  # noqa: PTH122


def _decode_into(record: np.ndarray, file: Path, resample: bool) -> np.ndarray:
    """Decode a file and fill in its record.

    Raises:
        AudioError: if it cannot be used, or changes while it is read.
    """
    digest = hashlib.sha256()
    try:
        before = file.stat()
        decoded = audio.decode(file, resample, digest)
        after = file.stat()
    except OSError as error:
        raise audio.AudioError(f"{file}: cannot be opened: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise audio.AudioError(f"{file}: it was written to while it was read; pack again")
    record["size"], record["changed_ns"] = after.st_size, after.st_mtime_ns
    record["samples"], record["divided_by"] = len(decoded.samples), decoded.divided_by
    record["is_silent"] = audio.is_silent(decoded.samples)
    record["sha256"][0] = np.frombuffer(digest.digest(), dtype=np.uint8)
    return decoded.samples
