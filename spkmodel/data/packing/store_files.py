"""Write what a store has beside its audio, and move it to where it is found."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spkmodel.core.temporary import temporary_beside
from spkmodel.data.formats.audio_file import SAMPLE_RATE
from spkmodel.data.lists import (
    DEV_LIST,
    SPLITS,
    TRAIN_LIST,
    Pair,
    TrainEntry,
    write_pairs,
    write_train_list,
)
from spkmodel.data.store import (
    ABOUT_FILE,
    FORMAT,
    FORMAT_OF_PARTS,
    INDEX_FILE,
    Store,
    StoreError,
)


@dataclass(frozen=True)
class Rows:
    """The utterances of a store, in the order of its audio."""

    ids: list[str]
    speakers: list[str]
    splits: list[int]
    """A bit for each of train, dev and test."""
    lengths: list[int]
    """In samples."""

    def append(self, utterance: str, speaker: str, bits: int, samples: int) -> None:
        """Add an utterance."""
        self.ids.append(utterance)
        self.speakers.append(speaker)
        self.splits.append(bits)
        self.lengths.append(samples)


def split_bits(names: Sequence[str]) -> int:
    """Return a bit for each of some of train, dev and test."""
    return sum(1 << SPLITS.index(name) for name in names)


def write_beside_audio(
    folder: Path,
    rows: Rows,
    meta: Mapping[str, Any],
    pairs: Sequence[Pair],
    filled: Sequence[int],
) -> None:
    """Write index, lists and `corpus.json` into the folder that has the audio.

    Args:
        folder: of the store.
        rows: its utterances.
        meta: goes into `corpus.json`.
        pairs: the dev pairs.
        filled: samples of each part of the audio.

    Raises:
        StoreError: without utterances, or with one twice.
    """
    if not len(rows.ids) or len(set(rows.ids)) != len(rows.ids):
        raise StoreError(f"{folder}: a store needs utterances, each once, got {len(rows.ids)}")
    index = _build_index(rows)
    with (folder / INDEX_FILE).open("wb") as out:
        np.savez_compressed(out, allow_pickle=False, **index)
        sync(out)
    train = [
        TrainEntry(speaker, path)
        for path, speaker, bits in zip(rows.ids, rows.speakers, rows.splits, strict=True)
        if bits & 1
    ]
    if train:
        write_train_list(folder / TRAIN_LIST, train)
    if pairs:
        write_pairs(folder / DEV_LIST, pairs)
    samples = int(index["length"].sum())
    about = {
        **meta,
        "format": FORMAT if len(filled) == 1 else FORMAT_OF_PARTS,
        "sample_rate": SAMPLE_RATE,
        "samples": samples,
        "seconds": round(samples / SAMPLE_RATE, 3),
        "utterances": len(rows.ids),
        "speakers": len(index["speaker_name"]),
        "dev_pairs": len(pairs),
    }
    if len(filled) > 1:
        about["parts"] = list(filled)
    with (folder / ABOUT_FILE).open("wb") as out:
        out.write(json.dumps(about, indent=2, sort_keys=True).encode())
        sync(out)


def _build_index(rows: Rows) -> dict[str, np.ndarray]:
    names, speakers = np.unique(np.array(rows.speakers), return_inverse=True)
    lengths = np.array(rows.lengths, dtype=np.int64)
    return {
        "id": np.array(rows.ids),
        "offset": np.cumsum(lengths) - lengths,
        "length": lengths,
        "speaker_name": names,
        "speaker": speakers.astype(np.int32),
        "split": np.array(rows.splits, dtype=np.uint8),
    }


def move_into_place(beside: Path, folder: Path, sha256: str) -> None:
    """Rename a whole store to its folder, unless a whole one of these contents is there already."""
    # Synced before the rename: after a power failure, the folder must not name empty files.
    sync_folder(beside)
    try:
        beside.rename(folder)
    except OSError:
        # Another process was faster, or the store that is there is damaged.
        if is_store_with(folder, sha256):
            return
        damaged = temporary_beside(folder)
        folder.rename(damaged)
        beside.rename(folder)
        shutil.rmtree(damaged, ignore_errors=True)
    sync_folder(folder.parent)


def is_store_with(folder: Path, sha256: str) -> bool:
    """Return whether a folder is a whole store of some contents."""
    try:
        return Store.open(folder).sha256 == sha256
    except StoreError:
        return False


def sync(out: BinaryIO) -> None:
    """Bring what was written to a file onto the disk."""
    out.flush()
    os.fsync(out.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
