"""Open ambiences and room responses, split by file between train, dev and test."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spkmodel.augment import built_in_sounds, sound_store
from spkmodel.augment.sound_store import (
    SUFFIXES,
    Kind,
    NoiseAndRoomsError,
    PackedFolder,
    Sound,
    Sounds,
)
from spkmodel.core.progress import Progress, silent

__all__ = ["NoiseAndRooms", "NoiseAndRoomsError", "fingerprint", "open_noise_and_rooms"]

HELD_OUT_FRACTION = 0.2
"""Of the files, for dev and again for test; at least one each."""

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


@dataclass(frozen=True, eq=False)
class NoiseAndRooms:
    """What one split may hear: ambiences in [-1, 1], rooms of unit energy with their peak first."""

    ambiences: Sounds
    rooms: Sounds
    names: tuple[str, ...]
    """Of the ambiences, then of the rooms."""

    @classmethod
    def from_arrays(
        cls, ambiences: Sequence[Sound], rooms: Sequence[Sound], names: Sequence[str] = ()
    ) -> "NoiseAndRooms":
        """Hold sounds that are in no file; rooms must be aligned (`sound_store.align_room`)."""
        held = [sound_store.hold_in_memory(sounds) for sounds in (ambiences, rooms)]
        return cls(held[0], held[1], tuple(names))


def open_noise_and_rooms(
    noise: Path | None, rooms: Path | None, split: Split, progress: Progress = silent
) -> NoiseAndRooms:
    """Open one split's share of two folders of audio files; None stands for built-in ones.

    A folder is packed on first use (`sound_store.open_packed`). Which split a file belongs to
    depends on the names in its folder alone.

    Raises:
        NoiseAndRoomsError: if a folder has fewer than 3 audio files, or one of them cannot be used;
            the message names it.
    """
    ambiences, names_of_ambiences = _open(noise, "ambience", split, progress)
    responses, names_of_rooms = _open(rooms, "room", split, progress)
    return NoiseAndRooms(ambiences, responses, (*names_of_ambiences, *names_of_rooms))


def fingerprint(noise: Path | None, rooms: Path | None, progress: Progress = silent) -> str:
    """Return 16 hex digits of names and contents; built-in sounds have a version instead."""
    digest = hashlib.sha256()
    kinds: tuple[tuple[Path | None, Kind], ...] = ((noise, "ambience"), (rooms, "room"))
    for folder, kind in kinds:
        if folder is None:
            digest.update(built_in_sounds.VERSION.encode())
            continue
        packed = _open_folder(folder, kind, progress)
        for name, sha256 in zip(packed.names, packed.sha256, strict=True):
            digest.update(name.encode() + b"\0" + bytes.fromhex(sha256))
        digest.update(b"\1")
    return digest.hexdigest()[:16]


def _open(
    folder: Path | None, kind: Kind, split: Split, progress: Progress
) -> tuple[Sounds, Sequence[str]]:
    if folder is None:
        named = built_in_sounds.synthesise(kind, split)
        return sound_store.hold_in_memory([sound for _, sound in named]), [
            name for name, _ in named
        ]
    packed = _open_folder(folder, kind, progress)
    places = _places_of(packed.names, split)
    return packed.sounds.select(places), [Path(packed.names[place]).name for place in places]


def _open_folder(folder: Path, kind: Kind, progress: Progress) -> PackedFolder:
    files = sound_store.list_files(folder)
    if len(files) < len(SPLITS):
        raise NoiseAndRoomsError(
            f"{folder}: {len(files)} audio files ({', '.join(SUFFIXES)}), but at least "
            f"{len(SPLITS)} are needed, so that train, dev and test have different files"
        )
    return sound_store.open_packed(folder, files, kind, progress)


def _places_of(names: Sequence[str], split: Split) -> list[int]:
    # Names are hashed because neighbours in the alphabet tend to come from one source.
    order = sorted(
        range(len(names)), key=lambda place: hashlib.sha256(names[place].encode()).digest()
    )
    held_out = max(1, round(HELD_OUT_FRACTION * len(names)))
    match split:
        case "dev":
            return order[:held_out]
        case "test":
            return order[held_out : 2 * held_out]
        case "train":
            return order[2 * held_out :]
