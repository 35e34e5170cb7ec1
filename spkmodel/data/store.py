"""The packed corpus that training reads: every waveform in one memory-mapped file.

A store is a folder with `audio.i16` (all samples, 16 kHz mono, little-endian), `index.npz` (where
each utterance is, and whose), `corpus.json` (counts and the hash of the contents) and the lists
that a search may see. The test pairs are not in it. It appears in one step, whole or not at all.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int16

from spkmodel.core.progress import Progress, silent
from spkmodel.data import audio
from spkmodel.data.corpus import DEV_LIST, SPLITS, TRAIN_LIST, Corpus
from spkmodel.data.lists import Pair, TrainEntry, read_pairs, write_pairs, write_train_list

_AUDIO = "audio.i16"
_INDEX = "index.npz"
_ABOUT = "corpus.json"
_FORMAT = 1
_ANEW = "remove the folder, the corpus will be packed anew"

Utterance = tuple[str, str, str, np.ndarray]
"""Id, speaker, split, int16 samples; of several splits, their names are joined by "+"."""


class StoreError(ValueError):
    """A folder that is not a whole store; says what is wrong with it."""


class Store:
    """Utterances by id; waveforms are read-only views of one mapped file."""

    def __init__(
        self,
        folder: Path,
        about: dict[str, Any],
        index: Mapping[str, np.ndarray],
        samples: np.ndarray,
    ) -> None:
        self.folder = folder
        self.about = about
        """What `corpus.json` says."""
        self.ids: list[str] = index["id"].tolist()
        self._samples = samples
        self._offsets = index["offset"]
        self._lengths = index["length"]
        self._speaker_names: list[str] = index["speaker_name"].tolist()
        self._speakers = index["speaker"]
        self._splits = index["split"]
        """A bit for each of train, dev and test."""
        self._rows = {utterance: row for row, utterance in enumerate(self.ids)}

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Map a store.

        Raises:
            StoreError: if files are missing or disagree.
        """
        try:
            about = json.loads((folder / _ABOUT).read_bytes())
            if about["format"] != _FORMAT:
                raise StoreError(f"{folder}: format {about['format']}, known is {_FORMAT}; {_ANEW}")
            size = (folder / _AUDIO).stat().st_size
            if size != 2 * about["samples"]:
                raise StoreError(
                    f"{folder / _AUDIO}: {size} bytes, but by {_ABOUT} it has {about['samples']} "
                    f"samples of 2 bytes; {_ANEW}"
                )
            with np.load(folder / _INDEX, allow_pickle=False) as columns:
                index = dict(columns)
            samples = np.memmap(folder / _AUDIO, dtype="<i2", mode="r").view(np.ndarray)
            return cls(folder, about, index, samples)
        except StoreError:
            raise
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise StoreError(f"{folder}: not a whole store ({error}); {_ANEW}") from error

    @property
    def sha256(self) -> str:
        """Of the contents: lists and audio of the corpus, not of where they lie."""
        return str(self.about["sha256"])

    def waveform(self, utterance: str) -> Int16[np.ndarray, " samples"]:
        """A read-only view; copy it before changing it or handing it to torch."""
        row = self._rows[utterance]
        start = int(self._offsets[row])
        return self._samples[start : start + int(self._lengths[row])]

    def speaker(self, utterance: str) -> str:
        """Who says it."""
        return self._speaker_names[self._speakers[self._rows[utterance]]]

    def seconds(self, utterance: str) -> float:
        """How long it lasts."""
        return float(self._lengths[self._rows[utterance]]) / audio.SAMPLE_RATE

    def split(self, utterance: str) -> str:
        """The first of train, dev and test that has it."""
        mask = self._splits[self._rows[utterance]]
        return next(split for bit, split in enumerate(SPLITS) if mask >> bit & 1)

    def of_split(self, split: str) -> list[str]:
        """Ids of the utterances of "train", "dev" or "test"."""
        rows = np.flatnonzero(self._splits >> SPLITS.index(split) & 1)
        return [self.ids[row] for row in rows]

    @cached_property
    def train_speakers(self) -> list[str]:
        """Sorted; a speaker's place is its label in training."""
        return sorted({self.speaker(utterance) for utterance in self.of_split("train")})

    @cached_property
    def dev_pairs(self) -> list[Pair]:
        """Empty for a store without a list of them."""
        path = self.folder / DEV_LIST
        return read_pairs(path) if path.exists() else []

    @cached_property
    def longest_seconds(self) -> float:
        """Length of the longest training utterance; 0 without any."""
        lengths = self._lengths[self._splits >> SPLITS.index("train") & 1 == 1]
        return float(lengths.max(initial=0)) / audio.SAMPLE_RATE

    def utterances_of_most(self, speakers: int) -> int:
        """How many training utterances at least `speakers` speakers have; 0 without so many."""
        counts = Counter(self.speaker(utterance) for utterance in self.of_split("train"))
        ranked = sorted(counts.values(), reverse=True)
        return ranked[speakers - 1] if 0 < speakers <= len(ranked) else 0


def pack(corpus: Corpus, home: Path, resample: bool = False, progress: Progress = silent) -> Path:
    """The folder of the corpus's store below `home`, made if it is not there yet.

    A store made with `resample` serves calls without it too: they name the same contents.

    Raises:
        AudioError: for an utterance that cannot be packed; `corpus.check` names all of them.
    """
    utterances = corpus.utterances()
    total = 2 * len(utterances)
    digests = _digests(corpus.folder, utterances, home / "corpora", total, progress)
    sha256 = _contents_sha256(corpus, digests)
    folder = home / "corpora" / sha256[:16]
    if not _is_store_of(folder, sha256):
        reader = audio.read_resampled if resample else audio.read
        waveforms = audio.in_parallel(lambda path: reader(corpus.folder / path), utterances)

        def packed() -> Iterable[Utterance]:
            for done, (path, waveform) in enumerate(zip(utterances, waveforms, strict=True), 1):
                splits = "+".join(corpus.splits_of(path))
                yield path, corpus.speaker_of[path], splits, waveform
                progress(len(utterances) + done, total)

        write_store(
            folder,
            packed(),
            {"sha256": sha256, "dev_from_train": corpus.dev_from_train, "resampled": resample},
            dev_pairs=corpus.dev_pairs,
        )
    progress(total, total)
    return folder


def write_store(
    folder: Path,
    utterances: Iterable[Utterance],
    meta: Mapping[str, Any],
    dev_pairs: Sequence[Pair] = (),
) -> Store:
    """Write a store beside its place and move it there once it is whole and on disk.

    Args:
        folder: its place. A whole store of the same `sha256` that is there already, or comes to be
            there meanwhile, stays; a damaged one is replaced.
        utterances: drawn one by one; nothing is kept of them.
        meta: goes into `corpus.json`; must have `sha256`.
        dev_pairs: written as the store's list of them, unless there are none.
    """
    sha256 = meta["sha256"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    beside.mkdir()
    try:
        _fill(beside, utterances, meta, dev_pairs)
        if not _is_store_of(folder, sha256):
            _move_into_place(beside, folder, sha256)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Store.open(folder)


_Row = tuple[str, str, int, int]
"""Id, speaker, split bits, samples."""


def _fill(
    folder: Path, utterances: Iterable[Utterance], meta: Mapping[str, Any], pairs: Sequence[Pair]
) -> None:
    rows: list[_Row] = []
    with (folder / _AUDIO).open("wb") as out:
        for utterance, speaker, split, waveform in utterances:
            out.write(np.ascontiguousarray(waveform, dtype="<i2").data)
            bits = sum(1 << SPLITS.index(name) for name in split.split("+"))
            rows.append((utterance, speaker, bits, len(waveform)))
        _sync(out)
    if not rows or len({row[0] for row in rows}) != len(rows):
        raise StoreError(f"{folder}: a store needs utterances, each once, got {len(rows)}")
    index = _index(rows)
    with (folder / _INDEX).open("wb") as out:
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
        "format": _FORMAT,
        "sample_rate": audio.SAMPLE_RATE,
        "samples": samples,
        "seconds": round(samples / audio.SAMPLE_RATE, 3),
        "utterances": len(rows),
        "speakers": len(index["speaker_name"]),
        "dev_pairs": len(pairs),
    }
    with (folder / _ABOUT).open("wb") as out:
        out.write(json.dumps(about, indent=2, sort_keys=True).encode())
        _sync(out)


def _index(rows: Sequence[_Row]) -> dict[str, np.ndarray]:
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
    _sync_folder(beside)
    try:
        beside.rename(folder)
    except OSError:
        # Somebody was faster, or what is there is damaged.
        if _is_store_of(folder, sha256):
            return
        folder.rename(beside.with_suffix(".damaged"))
        beside.rename(folder)
        shutil.rmtree(beside.with_suffix(".damaged"), ignore_errors=True)
    _sync_folder(folder.parent)


def _is_store_of(folder: Path, sha256: str) -> bool:
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


# --- what a corpus contains --------------------------------------------------------------------


def _contents_sha256(corpus: Corpus, digests: Mapping[str, str]) -> str:
    contents = hashlib.sha256(b"spksearch store 1\n")
    for path in corpus.utterances():
        splits = "+".join(corpus.splits_of(path))
        contents.update(f"{splits} {corpus.speaker_of[path]} {path} {digests[path]}\n".encode())
    for name, pairs in (("dev", corpus.dev_pairs), ("test", corpus.test_pairs)):
        for pair in pairs:
            contents.update(f"{name} {int(pair.target)} {pair.enrolment} {pair.test}\n".encode())
    return contents.hexdigest()


def _digests(
    folder: Path, utterances: Sequence[str], memory: Path, total: int, progress: Progress
) -> dict[str, str]:
    """The sha256 of every file, remembered in `memory` by path, size and time of change."""
    memory.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    known = _remembered(memory / f"digests-{name}.json")
    fresh: dict[str, list[Any]] = {}

    def digest(path: str) -> str:
        found = (folder / path).stat()
        entry = known.get(path)
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
            _remember(memory / f"digests-{name}.json", known | fresh)
    return digests


def _remembered(path: Path) -> dict[str, list[Any]]:
    """Empty when it is not there or damaged: nothing but time is lost with it."""
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


def _remember(path: Path, entries: Mapping[str, list[Any]]) -> None:
    beside = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        beside.write_bytes(json.dumps(entries).encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
