"""Pack a folder of ambiences or rooms into one memory-mapped file, once for each node.

MUSAN has 2,016 files and RIRS_NOISES 60,000. Decoded into the memory of every training they would
take gigabytes and minutes; from a store, a batch reads its excerpts, and all trainings of a
node share what the system keeps of the file in memory.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import soundfile
from jaxtyping import Float32, Float64

from spkmodel.augment.sound_categories import Kind
from spkmodel.core.progress import Progress, silent
from spkmodel.core.temporary import remove_abandoned, temporary_beside
from spkmodel.data import audio, store_cache
from spkmodel.data.audio import SAMPLE_RATE

LONGEST_AMBIENCE_SECONDS = 40
LONGEST_OF_A_CATEGORY_SECONDS = 3_600
"""An ambience of a categorised folder is kept whole: MUSAN's are up to 17 minutes long."""
LONGEST_ROOM_SECONDS = 2
SUFFIXES = (".flac", ".wav", ".ogg")

Sound: TypeAlias = Float32[np.ndarray, " _samples"]

_FORMAT = 1
_AUDIO, _INDEX, _ABOUT = "audio.i16", "index.npz", "sounds.json"
_SHOWN = 10
"""Problems that a message names; of the others it gives the number."""


class NoiseAndRoomsError(ValueError):
    """A folder of ambiences or rooms cannot be used."""


@dataclass(frozen=True, eq=False)
class Sounds:
    """Sounds in one file of int16 samples; each is decoded when it is read."""

    samples: np.ndarray
    """All sounds one after the other, int16, mapped."""
    offsets: np.ndarray
    lengths: np.ndarray
    scales: np.ndarray
    """What an int16 sample is multiplied with, float64."""

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, place: int) -> Sound:
        return self.read(place, 0, int(self.lengths[place]))

    def __iter__(self) -> Iterator[Sound]:
        return (self[place] for place in range(len(self)))

    def read(self, place: int, start: int, samples: int) -> Sound:
        """Return a stretch of a sound, in [-1, 1] for an ambience; nothing else is read."""
        begin = int(self.offsets[place]) + start
        raw = self.samples[begin : begin + samples].astype(np.float64)
        return (raw * self.scales[place]).astype(np.float32)

    def select(self, places: Sequence[int]) -> "Sounds":
        """Return some of the sounds, in the order given."""
        chosen = np.asarray(places, dtype=np.int64)
        return Sounds(self.samples, self.offsets[chosen], self.lengths[chosen], self.scales[chosen])


class FoundFile(NamedTuple):
    """An audio file: its path below the folder, and what tells that it has changed."""

    name: str
    size: int
    changed_ns: int


class ReadFile(NamedTuple):
    """What is packed of a file: int16 samples, their scale, and the hash of the whole file."""

    samples: np.ndarray
    scale: float
    sha256: str


@dataclass(frozen=True, eq=False)
class PackedFolder:
    """A packed folder: its sounds, their paths below it and the hashes of their files."""

    sounds: Sounds
    names: tuple[str, ...]
    sha256: tuple[str, ...]


def hold_in_memory(sounds: Sequence[Sound]) -> Sounds:
    """Return sounds that are in no file, with their own samples."""
    lengths = np.array([len(sound) for sound in sounds], dtype=np.int64)
    joined = np.concatenate([*sounds, np.zeros(0, dtype=np.float32)])
    return Sounds(joined, np.cumsum(lengths) - lengths, lengths, np.ones(len(sounds)))


def read_excerpt(sounds: Sounds, place: int, offset: float, samples: int) -> Sound:
    """Return a stretch from `offset`, a fraction of the length, on; at its end it starts over."""
    length = int(sounds.lengths[place])
    start = int(offset * length)
    if start + samples <= length:
        return sounds.read(place, start, samples)
    return np.take(sounds[place], np.arange(start, start + samples), mode="wrap")


def open_packed(
    folder: Path,
    files: Sequence[FoundFile],
    kind: Kind,
    progress: Progress = silent,
    is_categorised: bool = False,
) -> PackedFolder:
    """Return the packed sounds of a folder; pack them first if this node has not yet.

    Files are 16 kHz mono WAV, FLAC or Ogg (`list_files`). Of an ambience the first 40 s
    are kept; of a room 2 s from its peak on, at unit energy. Of a categorised folder an ambience is
    kept whole, and of a file with several channels, as real rooms have, the first one is. The pack
    lies in this node's cache. If several processes ask for it, one packs and the others wait. When
    names, sizes or times of change differ, the folder is packed again.

    Raises:
        NoiseAndRoomsError: if there is no such folder, or a file cannot be used; the message names
            the first ten of them.
    """
    below = store_cache.cache_folder() / "sounds"
    below.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = below / f"{kind}-{_identify(files, kind, is_categorised)}"
    if (opened := _open(place)) is not None:
        return opened
    source = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    with store_cache.node_lock(below / f".{kind}-{source}.lock"):
        # Another process may have packed it while this one waited for the lock.
        if (opened := _open(place)) is not None:
            return opened
        _remove_outdated(below, kind, source)
        beside = temporary_beside(place)
        beside.mkdir()
        try:
            # The name of a pack tells its contents; this tells which folder they are of.
            (beside / "source").write_text(source)
            read = partial(read_file, kind=kind, is_categorised=is_categorised)
            _pack(folder, files, kind, read, beside, progress)
            beside.rename(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    opened = _open(place)
    assert opened is not None, "it has just been packed"
    return opened


def list_files(folder: Path) -> list[FoundFile]:
    """Return the audio files below a folder, in the order of their names; links are followed."""
    if not folder.is_dir():
        raise NoiseAndRoomsError(f"{folder}: no such folder of ambiences or rooms")
    return sorted(_walk(str(folder), ""))


def _walk(folder: str, prefix: str) -> Iterator[FoundFile]:
    # By hand and with text: Path.rglob takes three times as long for 60,000 files, each time.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                found = entry.stat()
                yield FoundFile(f"{prefix}{entry.name}", found.st_size, found.st_mtime_ns)


def align_room(response: Float32[np.ndarray, " taps"] | Float64[np.ndarray, " taps"]) -> Sound:
    """Return a room response from its peak on, at most 2 s, at unit energy."""
    kept = _from_peak(response).astype(np.float64)
    return np.asarray(kept / np.sqrt(np.sum(kept**2)), dtype=np.float32)


def _from_peak(response: np.ndarray) -> np.ndarray:
    peak = int(np.abs(response).argmax())
    return response[peak : peak + LONGEST_ROOM_SECONDS * SAMPLE_RATE]


def _identify(files: Sequence[FoundFile], kind: Kind, is_categorised: bool) -> str:
    listing = "\n".join(f"{name}\0{size} {changed_ns}" for name, size, changed_ns in files)
    text = f"{_FORMAT} {kind}{' categorised' if is_categorised else ''}\n{listing}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _open(place: Path) -> PackedFolder | None:
    """Return what was packed in a place; None if it is not there or not whole."""
    try:
        about = json.loads((place / _ABOUT).read_bytes())
        with np.load(place / _INDEX, allow_pickle=False) as index:
            offsets, lengths, scales = index["offset"], index["length"], index["scale"]
        samples = np.memmap(place / _AUDIO, dtype="<i2", mode="r")
        names, sha256 = tuple(about["names"]), tuple(about["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_whole = len(samples) == int(lengths.sum()) and len(names) == len(offsets) == len(sha256)
    return (
        PackedFolder(Sounds(samples, offsets, lengths, scales), names, sha256) if is_whole else None
    )


def _remove_outdated(below: Path, kind: Kind, source: str) -> None:
    """Remove packs of the same folder as it was before, and what killed processes left."""
    remove_abandoned(below)
    for place in below.glob(f"{kind}-*"):
        about = place / "source"
        if about.is_file() and about.read_text() == source:
            shutil.rmtree(place, ignore_errors=True)


def _pack(
    folder: Path,
    files: Sequence[FoundFile],
    kind: Kind,
    read: Callable[[Path], ReadFile | str],
    beside: Path,
    progress: Progress,
) -> None:
    names = [file.name for file in files]
    lengths, scales, hashes, problems = [], [], [], []
    with (beside / _AUDIO).open("wb") as out:
        packed = audio.in_parallel(read, [folder / name for name in names])
        for done, found in enumerate(packed, 1):
            progress(done, len(files))
            if isinstance(found, str):
                problems.append(found)
                continue
            out.write(found.samples.astype("<i2").data)
            lengths.append(len(found.samples))
            scales.append(found.scale)
            hashes.append(found.sha256)
        out.flush()
        os.fsync(out.fileno())
    if problems:
        more = len(problems) - _SHOWN
        shown = [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise NoiseAndRoomsError("\n".join(shown))
    ends = np.cumsum(np.array(lengths, dtype=np.int64))
    with (beside / _INDEX).open("wb") as out:
        np.savez(
            out,
            offset=ends - np.array(lengths, dtype=np.int64),
            length=np.array(lengths, dtype=np.int64),
            scale=np.array(scales, dtype=np.float64),
        )
    about = {"format": _FORMAT, "kind": kind, "names": names, "sha256": hashes}
    (beside / _ABOUT).write_text(json.dumps(about))


def read_file(path: Path, kind: Kind, is_categorised: bool = False) -> ReadFile | str:
    """Return what is packed of a file, or what is wrong with it."""
    # Twice the length of a room is read: what precedes the peak is cut off.
    seconds = 2 * LONGEST_ROOM_SECONDS
    if kind == "ambience":
        seconds = LONGEST_OF_A_CATEGORY_SECONDS if is_categorised else LONGEST_AMBIENCE_SECONDS
    try:
        with soundfile.SoundFile(path) as file:
            if file.samplerate != SAMPLE_RATE or (file.channels != 1 and not is_categorised):
                return (
                    f"{path}: ambiences and rooms must be {SAMPLE_RATE} Hz mono, this one has "
                    f"{file.samplerate} Hz and {file.channels} channel(s); convert it first"
                )
            frames = file.read(frames=seconds * SAMPLE_RATE, dtype="float32", always_2d=True)
            sound = np.ascontiguousarray(frames[:, 0])
        with path.open("rb") as whole:
            sha256 = hashlib.file_digest(whole, "sha256").hexdigest()
    except (OSError, soundfile.SoundFileError) as error:
        return f"{path}: cannot be read as audio ({error})"
    if not np.isfinite(sound).all() or not np.any(sound):
        return f"{path}: is empty, silent or holds numbers that are not finite"
    if kind == "ambience":
        return ReadFile(*_to_int16(sound), sha256)
    samples, scale = _to_int16(_from_peak(sound))
    energy = np.sum((samples * scale) ** 2)
    return ReadFile(samples, scale / float(np.sqrt(energy)), sha256)


def _to_int16(sound: Sound) -> tuple[np.ndarray, float]:
    """Return int16 samples and their scale: exact for what was stored in 16 bits."""
    scaled = sound.astype(np.float64) * 32768
    rounded = np.rint(scaled)
    if np.array_equal(scaled, rounded) and rounded.min() >= -32768 and rounded.max() <= 32767:
        return rounded.astype(np.int16), 1 / 32768
    peak = float(np.abs(sound).max())
    return np.rint(sound.astype(np.float64) / peak * 32767).astype(np.int16), peak / 32767
