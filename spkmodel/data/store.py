"""Read the packed corpus that a training uses: all waveforms in one memory-mapped file.

A store is a folder with `audio.i16` (all samples, 16 kHz mono, little-endian), `index.npz` (where
each utterance is, and whose), `corpus.json` (counts and the hash of the contents) and the lists
that a search may see; the test pairs are not in it. A large one (format 2) goes on in
`audio_1.i16`, `audio_2.i16` and so on; no utterance lies in two of them. `store_writing` makes it.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Int, Int16

from spkmodel.core import foreign_file
from spkmodel.data import audio
from spkmodel.data.lists import DEV_LIST, SPLITS, Pair, read_pairs

AUDIO_FILE = "audio.i16"
INDEX_FILE = "index.npz"
ABOUT_FILE = "corpus.json"
FORMAT, FORMAT_OF_PARTS = 1, 2
_PACK_AGAIN = "remove the folder, the corpus will be packed anew"


def part_name(number: int) -> str:
    """Return the file of a part of the audio, counted from 0."""
    return f"audio_{number}.i16" if number else AUDIO_FILE


class StoreError(ValueError):
    """A folder that is not a whole store; the message says what is wrong with it."""


class Store:
    """The utterances of a store by id; waveforms are read-only views of one mapped file."""

    def __init__(
        self,
        folder: Path,
        about: dict[str, Any],
        index: Mapping[str, np.ndarray],
        parts: Sequence[np.ndarray],
    ) -> None:
        self.folder = folder
        self.about = about
        """What `corpus.json` says."""
        self.parts = parts
        """The samples of each part, int16, mapped."""
        ends = np.cumsum([len(part) for part in parts])
        self.part_of = np.searchsorted(ends[:-1], index["offset"], side="right").astype(np.int32)
        """The part of each row."""
        self.offsets = index["offset"] - (ends - [len(part) for part in parts])[self.part_of]
        """The first sample of each row in its part."""
        self._lengths = index["length"]
        self._speaker_names: list[str] = index["speaker_name"].tolist()
        self._speakers = index["speaker"]
        self._splits = index["split"]
        """A bit for each of train, dev and test."""

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open a store and map its audio into memory.

        Raises:
            StoreError: if files are missing or disagree.
        """
        try:
            about = foreign_file.read_json_object(folder / ABOUT_FILE)
            if about["format"] not in (FORMAT, FORMAT_OF_PARTS):
                raise StoreError(
                    f"{folder}: format {about['format']}, known are {FORMAT} and "
                    f"{FORMAT_OF_PARTS}; {_PACK_AGAIN}"
                )
            lengths = about["parts"] if about["format"] == FORMAT_OF_PARTS else [about["samples"]]
            parts = [_map_part(folder / part_name(n), each) for n, each in enumerate(lengths)]
            with np.load(folder / INDEX_FILE, allow_pickle=False) as columns:
                if "id" not in columns.files:
                    raise KeyError("id")
                # `ids` are read when they are asked for.
                index = {name: columns[name] for name in columns.files if name != "id"}
            return cls(folder, about, index, parts)
        except StoreError:
            raise
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise StoreError(f"{folder}: not a whole store ({error}); {_PACK_AGAIN}") from error

    @property
    def sha256(self) -> str:
        """Hash of the contents: of lists and audio of the corpus, not of their location."""
        return str(self.about["sha256"])

    @cached_property
    def ids(self) -> list[str]:
        """All utterances in the order of the file.

        Read when they are first asked for: a training goes by rows, and the ids of a million
        utterances take 200 MB.

        Raises:
            StoreError: if the index has become unreadable.
        """
        try:
            with np.load(self.folder / INDEX_FILE, allow_pickle=False) as columns:
                ids: list[str] = columns["id"].tolist()
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise StoreError(
                f"{self.folder}: not a whole store ({error}); {_PACK_AGAIN}"
            ) from error
        return ids

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {utterance: row for row, utterance in enumerate(self.ids)}

    @cached_property
    def training_rows(self) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """The rows of the training utterances, and the label of each one's speaker."""
        rows = np.flatnonzero(self._splits >> SPLITS.index("train") & 1)
        label_of = {name: label for label, name in enumerate(self.train_speakers)}
        labels = np.array([label_of.get(name, -1) for name in self._speaker_names], dtype=np.int64)
        return rows, labels[self._speakers[rows]]

    def waveform_at(self, row: int) -> Int16[np.ndarray, " samples"]:
        """Return the waveform of a row, as `waveform` does."""
        start = int(self.offsets[row])
        return self.parts[self.part_of[row]][start : start + int(self._lengths[row])]

    def waveform(self, utterance: str) -> Int16[np.ndarray, " samples"]:
        """Return a read-only view of a waveform; copy it before it is changed or given to torch."""
        return self.waveform_at(self._rows[utterance])

    def speaker(self, utterance: str) -> str:
        """Return the speaker of an utterance."""
        return self._speaker_names[self._speakers[self._rows[utterance]]]

    def seconds(self, utterance: str) -> float:
        """Return the length of an utterance."""
        return float(self._lengths[self._rows[utterance]]) / audio.SAMPLE_RATE

    def split(self, utterance: str) -> str:
        """Return the first of train, dev and test that has the utterance."""
        mask = self._splits[self._rows[utterance]]
        return next(split for bit, split in enumerate(SPLITS) if mask >> bit & 1)

    def of_split(self, split: str) -> list[str]:
        """Return the ids of the utterances of "train", "dev" or "test"."""
        rows = np.flatnonzero(self._splits >> SPLITS.index(split) & 1)
        return [self.ids[row] for row in rows]

    @cached_property
    def train_speakers(self) -> list[str]:
        """Training speakers, sorted; a speaker's index is its label in training."""
        present = np.unique(self._speakers[self._splits >> SPLITS.index("train") & 1 == 1])
        return sorted(self._speaker_names[speaker] for speaker in present.tolist())

    @cached_property
    def dev_pairs(self) -> list[Pair]:
        """The dev pairs; empty for a store without a list of them."""
        path = self.folder / DEV_LIST
        return read_pairs(path) if path.exists() else []

    @cached_property
    def longest_seconds(self) -> float:
        """Length of the longest training utterance; 0 without any."""
        lengths = self._lengths[self._splits >> SPLITS.index("train") & 1 == 1]
        return float(lengths.max(initial=0)) / audio.SAMPLE_RATE

    @cached_property
    def utterances_of_speakers(self) -> list[int]:
        """Number of training utterances of each training speaker, most first."""
        _, labels = self.training_rows
        return sorted(np.bincount(labels).tolist(), reverse=True)


def _map_part(path: Path, samples: int) -> np.ndarray:
    # A file that was cut short would be mapped as it is, its last utterances cut or empty.
    size = path.stat().st_size
    if size != 2 * samples:
        raise StoreError(
            f"{path}: {size} bytes, but by {ABOUT_FILE} it has {samples} samples of 2 bytes; "
            f"{_PACK_AGAIN}"
        )
    return np.memmap(path, dtype="<i2", mode="r").view(np.ndarray)
