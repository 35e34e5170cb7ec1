"""Open ambiences and room responses, split by file between train, dev and test.

A folder laid out as MUSAN or RIRS_NOISES has categories (`sound_categories`), and each is split.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from spkmodel.augment import built_in_sounds, sound_store
from spkmodel.augment.sound_categories import CATEGORIES, Kind, categorise
from spkmodel.augment.sound_store import (
    SUFFIXES,
    FoundFile,
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

Places: TypeAlias = Int[np.ndarray, " _places"]


@dataclass(frozen=True, eq=False)
class NoiseAndRooms:
    """What one split may hear: ambiences in [-1, 1], rooms of unit energy with their peak first."""

    ambiences: Sounds
    rooms: Sounds
    names: tuple[str, ...]
    """Of the ambiences, then of the rooms."""
    ambience_categories: Mapping[str, Places] = field(default_factory=dict)
    """The places of the ambiences of each category that there is; empty for a flat folder."""
    room_categories: Mapping[str, Places] = field(default_factory=dict)

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
    ambiences = _open(noise, "ambience", split, progress)
    rooms_of_split = _open(rooms, "room", split, progress)
    return NoiseAndRooms(
        ambiences.sounds,
        rooms_of_split.sounds,
        (*ambiences.names, *rooms_of_split.names),
        ambiences.categories,
        rooms_of_split.categories,
    )


def fingerprint(noise: Path | None, rooms: Path | None, progress: Progress = silent) -> str:
    """Return 16 hex digits of names and contents; built-in sounds have a version instead."""
    digest = hashlib.sha256()
    kinds: tuple[tuple[Path | None, Kind], ...] = ((noise, "ambience"), (rooms, "room"))
    for folder, kind in kinds:
        if folder is None:
            digest.update(built_in_sounds.VERSION.encode())
            continue
        listed = list_recordings(folder, kind)
        packed = pack_recordings(listed, progress)
        if listed.categories:
            # Which split hears what is another thing than in a flat folder.
            digest.update(b"categories")
        for name, sha256 in zip(packed.names, packed.sha256, strict=True):
            digest.update(name.encode() + b"\0" + bytes.fromhex(sha256))
        digest.update(b"\1")
    return digest.hexdigest()[:16]


class Recordings(NamedTuple):
    """The files of a folder that are ambiences, or rooms."""

    folder: Path
    kind: Kind
    files: Sequence[FoundFile]
    categories: Sequence[str]
    """Of each file; empty for a flat folder."""

    def of_category(self) -> dict[str, list[int]]:
        """Return the places of the files of each category that has some; a flat folder has one."""
        if not self.categories:
            return {"": list(range(len(self.files)))}
        found: dict[str, list[int]] = {}
        for place, category in enumerate(self.categories):
            found.setdefault(category, []).append(place)
        return {name: found[name] for name in CATEGORIES[self.kind] if name in found}


def list_recordings(folder: Path, kind: Kind) -> Recordings:
    """Return the ambiences or the rooms of a folder; of a flat one, all its audio files.

    Raises:
        NoiseAndRoomsError: if there are too few for three splits, or if a folder that has
            categories holds files without one.
    """
    files = sound_store.list_files(folder)
    categories = categorise([file.name for file in files])
    if any(categories):
        if without := [file.name for file, name in zip(files, categories, strict=True) if not name]:
            raise NoiseAndRoomsError(
                f"{folder}: {len(without)} audio files are in no folder of a category, such as "
                f"{without[0]}; move them elsewhere: `spksearch noise check` names all of them"
            )
        kept = [place for place, name in enumerate(categories) if name in CATEGORIES[kind]]
        files = [files[place] for place in kept]
        categories = [categories[place] for place in kept]
    listed = Recordings(folder, kind, files, categories if any(categories) else ())
    for name, places in listed.of_category().items() or {"": []}.items():
        if len(places) < len(SPLITS):
            of_category = f" of the category {name!r}" if name else ""
            what = f"{len(places)} audio files ({', '.join(SUFFIXES)}){of_category}"
            raise NoiseAndRoomsError(
                f"{folder}: {what}, but at least "
                f"{len(SPLITS)} are needed, so that train, dev and test have different files"
            )
    return listed


def pack_recordings(listed: Recordings, progress: Progress = silent) -> PackedFolder:
    """Return the packed sounds of files; see `sound_store.open_packed`."""
    return sound_store.open_packed(
        listed.folder, listed.files, listed.kind, progress, bool(listed.categories)
    )


def places_of_split(listed: Recordings, split: Split) -> dict[str, list[int]]:
    """Return the places of a split's files, by category; which they are depends on names alone."""
    return {
        category: _places_of([listed.files[place].name for place in places], places, split)
        for category, places in listed.of_category().items()
    }


class _Opened(NamedTuple):
    sounds: Sounds
    names: Sequence[str]
    categories: Mapping[str, Places]


def _open(folder: Path | None, kind: Kind, split: Split, progress: Progress) -> _Opened:
    if folder is None:
        named = built_in_sounds.synthesise(kind, split)
        sounds = sound_store.hold_in_memory([sound for _, sound in named])
        return _Opened(sounds, [name for name, _ in named], {})
    listed = list_recordings(folder, kind)
    packed = pack_recordings(listed, progress)
    chosen: list[int] = []
    categories: dict[str, Places] = {}
    for category, places in places_of_split(listed, split).items():
        if category:
            categories[category] = np.arange(len(chosen), len(chosen) + len(places))
        chosen += places
    names = [Path(packed.names[place]).name for place in chosen]
    return _Opened(packed.sounds.select(chosen), names, categories)


def _places_of(names: Sequence[str], places: Sequence[int], split: Split) -> list[int]:
    # Names are hashed because neighbours in the alphabet tend to come from one source.
    order = [
        place
        for _, place in sorted(
            zip((hashlib.sha256(name.encode()).digest() for name in names), places, strict=True)
        )
    ]
    held_out = max(1, round(HELD_OUT_FRACTION * len(names)))
    match split:
        case "dev":
            return order[:held_out]
        case "test":
            return order[held_out : 2 * held_out]
        case "train":
            return order[2 * held_out :]
