"""Pack a corpus into a store.

A store appears in one step, whole or not at all.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spkmodel.core.progress import Progress, silent
from spkmodel.core.temporary import remove_abandoned, temporary_beside
from spkmodel.data import audio
from spkmodel.data.checks import levels
from spkmodel.data.corpus import Corpus
from spkmodel.data.lists import (
    DEV_LIST,
    SPLITS,
    TRAIN_LIST,
    Pair,
    TrainEntry,
    write_pairs,
    write_train_list,
)
from spkmodel.data.store import ABOUT_FILE, AUDIO_FILE, FORMAT, INDEX_FILE, Store, StoreError

log = logging.getLogger(__name__)

Utterance = tuple[str, str, str, np.ndarray]
"""Id, speaker, split, int16 samples; the names of several splits are joined by "+"."""


def pack_corpus(
    corpus: Corpus, home: Path, resample: bool = False, progress: Progress = silent
) -> Path:
    """Return the folder of the corpus's store below `home`, after making it if it is missing.

    A store made with `resample` serves calls without it too: they name the same contents.

    Raises:
        AudioError: for an utterance that cannot be packed; `check_corpus` names all of them.
    """
    remove_abandoned(home / "corpora")
    utterances = corpus.utterances()
    total = 2 * len(utterances)
    digests = _hash_files(corpus.folder, utterances, home / "corpora", total, progress)
    sha256 = _hash_contents(corpus, digests)
    folder = home / "corpora" / sha256[:16]
    if not _is_store_with(folder, sha256):
        write_store(
            folder,
            _decode_all(corpus, utterances, resample, progress),
            {"sha256": sha256, "dev_from_train": corpus.dev_from_train, "resampled": resample},
            dev_pairs=corpus.dev_pairs,
        )
    progress(total, total)
    return folder


def _decode_all(
    corpus: Corpus, utterances: Sequence[str], resample: bool, progress: Progress
) -> Iterator[Utterance]:
    """Decode the utterances for the store; say which were scaled.

    Raises:
        AudioError: for an utterance that cannot be packed, or a silent one in a pair.
    """
    total = 2 * len(utterances)
    scaled: dict[str, float] = {}
    decoded = audio.in_parallel(
        lambda path: audio.decode(corpus.folder / path, resample), utterances
    )
    for done, (path, each) in enumerate(zip(utterances, decoded, strict=True), 1):
        splits = corpus.splits_of(path)
        if each.divided_by > 1:
            scaled[path] = each.divided_by
        if splits != ("train",) and audio.is_silent(each.samples):
            raise audio.AudioError(
                f"{levels.describe_silent(corpus, path, corpus.folder)}; `spksearch corpus check` "
                f"names all such files\nremedy: {levels.silence_remedy(corpus, [path])}"
            )
        yield path, corpus.speaker_of[path], "+".join(splits), each.samples
        progress(len(utterances) + done, total)
    if scaled:
        log.warning("%s", levels.describe_scaled(corpus.folder, scaled))


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
    try:
        _write_files(beside, utterances, meta, dev_pairs)
        if not _is_store_with(folder, sha256):
            _move_into_place(beside, folder, sha256)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Store.open(folder)


_Row = tuple[str, str, int, int]
"""Id, speaker, split bits, samples."""


def _write_files(
    folder: Path, utterances: Iterable[Utterance], meta: Mapping[str, Any], pairs: Sequence[Pair]
) -> None:
    rows: list[_Row] = []
    with (folder / AUDIO_FILE).open("wb") as out:
        for utterance, speaker, split, waveform in utterances:
            out.write(np.ascontiguousarray(waveform, dtype="<i2").data)
            bits = sum(1 << SPLITS.index(name) for name in split.split("+"))
            rows.append((utterance, speaker, bits, len(waveform)))
        _sync(out)
    if not rows or len({row[0] for row in rows}) != len(rows):
        raise StoreError(f"{folder}: a store needs utterances, each once, got {len(rows)}")
    index = _build_index(rows)
    with (folder / INDEX_FILE).open("wb") as out:
        np.savez_compressed(out, allow_pickle=False, **index)
        _sync(out)
    train = [TrainEntry(speaker, path) for path, speaker, bits, _ in rows if bits & 1]
    if train:
        write_train_list(folder / TRAIN_LIST, train)
    if pairs:
        write_pairs(folder / DEV_LIST, pairs)
    samples = int(index["length"].sum())
    about = {
        **meta,
        "format": FORMAT,
        "sample_rate": audio.SAMPLE_RATE,
        "samples": samples,
        "seconds": round(samples / audio.SAMPLE_RATE, 3),
        "utterances": len(rows),
        "speakers": len(index["speaker_name"]),
        "dev_pairs": len(pairs),
    }
    with (folder / ABOUT_FILE).open("wb") as out:
        out.write(json.dumps(about, indent=2, sort_keys=True).encode())
        _sync(out)


def _build_index(rows: Sequence[_Row]) -> dict[str, np.ndarray]:
    names, speakers = np.unique(np.array([row[1] for row in rows]), return_inverse=True)
    lengths = np.array([row[3] for row in rows], dtype=np.int64)
    return {
        "id": np.array([row[0] for row in rows]),
        "offset": np.cumsum(lengths) - lengths,
        "length": lengths,
        "speaker_name": names,
        "speaker": speakers.astype(np.int32),
        "split": np.array([row[2] for row in rows], dtype=np.uint8),
    }


def _move_into_place(beside: Path, folder: Path, sha256: str) -> None:
    # Synced before the rename: after a power failure, the folder must not name empty files.
    _sync_folder(beside)
    try:
        beside.rename(folder)
    except OSError:
        # Another process was faster, or the store that is there is damaged.
        if _is_store_with(folder, sha256):
            return
        folder.rename(beside.with_suffix(".damaged"))
        beside.rename(folder)
        shutil.rmtree(beside.with_suffix(".damaged"), ignore_errors=True)
    _sync_folder(folder.parent)


def _is_store_with(folder: Path, sha256: str) -> bool:
    try:
        return Store.open(folder).sha256 == sha256
    except StoreError:
        return False


def _sync(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hash_contents(corpus: Corpus, digests: Mapping[str, str]) -> str:
    # The store's identity: everything that training or evaluation can see, and nothing else.
    contents = hashlib.sha256(b"spksearch store 1\n")
    for path in corpus.utterances():
        splits = "+".join(corpus.splits_of(path))
        contents.update(f"{splits} {corpus.speaker_of[path]} {path} {digests[path]}\n".encode())
    for name, pairs in (("dev", corpus.dev_pairs), ("test", corpus.test_pairs)):
        for pair in pairs:
            contents.update(f"{name} {int(pair.target)} {pair.enrolment} {pair.test}\n".encode())
    return contents.hexdigest()


def _hash_files(
    folder: Path, utterances: Sequence[str], memory: Path, total: int, progress: Progress
) -> dict[str, str]:
    """Hash every file; keep the hashes in `memory` by path, size and time of change."""
    memory.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    known = _read_known_digests(memory / f"digests-{name}.json")
    fresh: dict[str, list[Any]] = {}

    def digest(path: str) -> str:
        found = (folder / path).stat()
        entry = known.get(path)
        # Size and time tell that a file changed, as in make; hashing all takes minutes.
        if entry is None or entry[:2] != [found.st_size, found.st_mtime_ns]:
            with (folder / path).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            entry = fresh[path] = [found.st_size, found.st_mtime_ns, sha256]
        return str(entry[2])

    digests: dict[str, str] = {}
    try:
        found = audio.in_parallel(digest, utterances)
        for path, sha256 in zip(utterances, found, strict=True):
            digests[path] = sha256
            progress(len(digests), total)
    finally:
        if fresh:
            _write_known_digests(memory / f"digests-{name}.json", known | fresh)
    return digests


def _read_known_digests(path: Path) -> dict[str, list[Any]]:
    """Read the hashes of an earlier call; empty if the file is missing or damaged."""
    try:
        entries = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {
        name: entry
        for name, entry in entries.items()
        if isinstance(entry, list) and len(entry) == 3
    }


def _write_known_digests(path: Path, entries: Mapping[str, list[Any]]) -> None:
    beside = temporary_beside(path)
    try:
        beside.write_bytes(json.dumps(entries).encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
