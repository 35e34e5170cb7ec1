"""Pack a corpus into a store.

A store appears in one step, whole or not at all. What a killed process has packed is not lost: the
next one that packs the same corpus goes on behind it.
"""

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spkmodel.core.cores import usable_cores
from spkmodel.core.progress import Progress, silent
from spkmodel.core.temporary import remove_abandoned, temporary_beside
from spkmodel.data.checks import levels
from spkmodel.data.corpus import Corpus
from spkmodel.data.lists import Pair
from spkmodel.data.packing.decoding import decoded_bytes, plan_chunks
from spkmodel.data.packing.problems import Problems
from spkmodel.data.packing.records import (
    UNUSABLE,
    find_records,
    identify_paths,
    read_records,
    remember,
    stat_files,
)
from spkmodel.data.packing.store_files import (
    Rows,
    is_store_with,
    move_into_place,
    split_bits,
    sync,
    write_beside_audio,
)
from spkmodel.data.packing.unfinished import (
    Unfinished,
    has_unfinished,
    remove_outdated,
    take_turn,
)
from spkmodel.data.packing.worker import Setting
from spkmodel.data.packing.workers import pack_chunks
from spkmodel.data.store import AUDIO_FILE, Store

log = logging.getLogger(__name__)

Utterance = tuple[str, str, str, np.ndarray]
"""Id, speaker, split, int16 samples; the names of several splits are joined by "+"."""

_MOST_FILES = 256
"""Of a chunk."""
_WORTH_A_PROCESS = 24 << 20
"""Bytes of samples that take longer to decode than a process takes to start."""
_BYTES_OF_OPENING = 20_000
"""Opening a file takes as long as decoding so many bytes."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_GOES_ON = "what is packed already is kept: the same command goes on behind it"


def pack_corpus(
    corpus: Corpus,
    home: Path,
    resample: bool = False,
    progress: Progress = silent,
    workers: int | None = None,
) -> Path:
    """Return the folder of the corpus's store below `home`, after making it if it is missing.

    Each file is read once. Processes that pack the same corpus take turns. A store made with
    `resample` serves calls without it too: they name the same contents.

    Args:
        corpus: to be packed.
        home: stores lie in its folder `corpora`.
        resample: convert what is not 16 kHz mono.
        progress: told utterances.
        workers: processes that decode; by default one for each core that may be used.

    Raises:
        AudioError: for utterances that cannot be packed; names the first 20 and counts the others.
        OSError: if the disk fails. Where it is full, nothing is kept.
    """
    corpora = home / "corpora"
    remove_abandoned(corpora)
    remove_outdated(corpora)
    files = _ListedFiles.from_corpus(corpus)
    if not has_unfinished(corpora, corpus.folder):
        packed = _find_packed(corpus, corpora, files)
        if packed is not None:
            progress(len(files.paths), len(files.paths))
            return packed
    with take_turn(corpora, corpus.folder) as unfinished:
        # Whoever was before may have packed it.
        folder = _find_packed(corpus, corpora, files)
        if folder is None:
            records = _pack_files(corpus, files, unfinished, resample, progress, workers)
            folder = _finish(corpus, corpora, records, unfinished, resample)
        unfinished.discard()
    progress(len(files.paths), len(files.paths))
    return folder


@dataclass(frozen=True)
class _ListedFiles:
    """The files of a corpus in the order of its lists, and what tells that one has changed."""

    paths: list[str]
    keys: np.ndarray
    sizes: np.ndarray
    changed: np.ndarray

    @classmethod
    def from_corpus(cls, corpus: Corpus) -> "_ListedFiles":
        paths = corpus.utterances()
        return cls(paths, identify_paths(paths), *stat_files(corpus.folder, paths))


def _find_packed(corpus: Corpus, corpora: Path, files: _ListedFiles) -> Path | None:
    """Return the store of a corpus whose files have not changed since they were packed, if any."""
    known = read_records(_memory_path(corpora, corpus.folder))
    places = find_records(known, files.keys)
    if not len(places) or (places < 0).any():
        return None
    records = known[places]
    # Size and time tell that a file changed, as in make; hashing all takes minutes.
    is_same = (records["size"] == files.sizes) & (records["changed_ns"] == files.changed)
    if not is_same.all():
        return None
    sha256 = _hash_contents(corpus, files.paths, records)
    folder = corpora / sha256[:16]
    return folder if is_store_with(folder, sha256) else None


def _pack_files(
    corpus: Corpus,
    files: _ListedFiles,
    unfinished: Unfinished,
    resample: bool,
    progress: Progress,
    workers: int | None,
) -> np.ndarray:
    """Pack all files that are not packed yet; return the records of all.

    Raises:
        AudioError: for utterances that cannot be packed.
        OSError: if the disk fails.
    """
    total = len(files.paths)
    done = unfinished.resume(files.keys, files.sizes, files.changed)
    found = [done]
    first = len(done)
    progress(first, total)
    problems = Problems()
    try:
        unfinished.sync_now_and_then()
        count = _choose_workers(files, first, workers)
        most = max(1, min(_MOST_FILES, (total - first) // (8 * count)))
        chunks = plan_chunks(files.paths, files.sizes, first, most)
        setting = Setting(corpus.folder, unfinished.folder, resample)
        packed = pack_chunks(setting, chunks, unfinished.placement, count, unfinished.lock)
        # Closed at once after an interruption: its processes hold the lock.
        with closing(packed):
            for chunk in packed:
                unfinished.commit(chunk.records)
                found.append(chunk.records)
                for message, kind in chunk.problems.values():
                    problems.add(message, kind)
                first += len(chunk.records)
                progress(first, total)
        unfinished.sync()
    except OSError as error:
        if error.errno in _NO_ROOM:
            unfinished.discard()
        raise
    records = np.concatenate(found)
    _add_silent(corpus, files.paths, records, problems)
    problems.raise_any(f"`spksearch corpus check` names all such files; {_GOES_ON}")
    return records


def _choose_workers(files: _ListedFiles, first: int, workers: int | None) -> int:
    if workers is None:
        workers = usable_cores()
    left = sum(map(decoded_bytes, files.paths[first:], files.sizes[first:].tolist()))
    left += _BYTES_OF_OPENING * (len(files.paths) - first)
    return max(1, min(workers, left // _WORTH_A_PROCESS))


def _add_silent(
    corpus: Corpus, paths: Sequence[str], records: np.ndarray, problems: Problems
) -> None:
    """Add the silent utterances of pairs to what cannot be packed; say which were scaled."""
    usable = records["samples"] != UNUSABLE
    for row in np.flatnonzero(usable & (records["is_silent"] != 0)).tolist():
        path = paths[row]
        if corpus.splits_of(path) != ("train",):
            problems.add(
                f"{levels.describe_silent(corpus, path, corpus.folder)}\n"
                f"remedy: {levels.silence_remedy(corpus, [path])}",
                "silent_in_pair",
            )
    scaled = np.flatnonzero(usable & (records["divided_by"] > 1))
    if len(scaled):
        peaks = {paths[row]: float(records["divided_by"][row]) for row in scaled.tolist()}
        log.warning("%s", levels.describe_scaled(corpus.folder, peaks))


def _finish(
    corpus: Corpus, corpora: Path, records: np.ndarray, unfinished: Unfinished, resample: bool
) -> Path:
    """Add index and lists to the packed audio, remember the hashes, and move it into place."""
    paths = corpus.utterances()
    sha256 = _hash_contents(corpus, paths, records)
    rows = Rows(
        paths,
        [corpus.speaker_of[path] for path in paths],
        [split_bits(corpus.splits_of(path)) for path in paths],
        records["samples"].tolist(),
    )
    meta = {"sha256": sha256, "dev_from_train": corpus.dev_from_train, "resampled": resample}
    filled = unfinished.placement.filled
    write_beside_audio(unfinished.folder, rows, meta, corpus.dev_pairs, filled)
    # Before the move: whoever is killed in between finds the audio, and whoever is killed
    # afterwards finds the store.
    remember(_memory_path(corpora, corpus.folder), records)
    folder = corpora / sha256[:16]
    move_into_place(unfinished.folder, folder, sha256)
    return folder


def write_store(
    folder: Path,
    utterances: Iterable[Utterance],
    meta: Mapping[str, Any],
    dev_pairs: Sequence[Pair] = (),
) -> Store:
    """Write a store beside its final folder, and move it there once it is whole and on disk.

    Args:
        folder: its place. A whole store of the same `sha256` that is there already, or comes to be
            there meanwhile, stays; a damaged one is replaced.
        utterances: drawn one by one; nothing is kept of them.
        meta: goes into `corpus.json`; must have `sha256`.
        dev_pairs: written as the store's list of them, unless there are none.
    """
    sha256 = meta["sha256"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = temporary_beside(folder)
    beside.mkdir()
    rows = Rows([], [], [], [])
    try:
        with (beside / AUDIO_FILE).open("wb") as out:
            for utterance, speaker, split, waveform in utterances:
                out.write(np.ascontiguousarray(waveform, dtype="<i2").data)
                rows.append(utterance, speaker, split_bits(split.split("+")), len(waveform))
            sync(out)
        write_beside_audio(beside, rows, meta, dev_pairs, [sum(rows.lengths)])
        if not is_store_with(folder, sha256):
            move_into_place(beside, folder, sha256)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Store.open(folder)


def _hash_contents(corpus: Corpus, paths: Sequence[str], records: np.ndarray) -> str:
    # The store's identity: everything that training or evaluation can see, and nothing else.
    contents = hashlib.sha256(b"spksearch store 1\n")
    digests = records["sha256"].tobytes().hex()
    for row, path in enumerate(paths):
        splits = "+".join(corpus.splits_of(path))
        digest = digests[64 * row : 64 * row + 64]
        contents.update(f"{splits} {corpus.speaker_of[path]} {path} {digest}\n".encode())
    for name, pairs in (("dev", corpus.dev_pairs), ("test", corpus.test_pairs)):
        for pair in pairs:
            contents.update(f"{name} {int(pair.target)} {pair.enrolment} {pair.test}\n".encode())
    return contents.hexdigest()


def _memory_path(corpora: Path, folder: Path) -> Path:
    """Return the file that has the records of a corpus's files, packed or not."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return corpora / f"digests-{name}.records"
