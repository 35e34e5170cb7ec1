"""Make the store of a split in a condition once, and map it afterwards."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from spkmodel.augment.conditions import codec
from spkmodel.augment.conditions.recipes import apply_to_stored
from spkmodel.augment.noise_and_rooms import NoiseAndRooms, Split, fingerprint, open_noise_and_rooms
from spkmodel.core.condition_names import SOMEWHERE, Condition
from spkmodel.core.progress import Progress, silent
from spkmodel.core.threads import map_in_order
from spkmodel.data.store import Store, StoreError
from spkmodel.data.store_writing import Utterance, write_store

_VERSION = 1
"""Raised when the same utterance would come out otherwise; conditioned stores are made anew."""


def conditioned_store(
    store: Store,
    split: Literal["dev", "test"],
    condition: Condition,
    noise: Path | None,
    rooms: Path | None,
    progress: Progress = silent,
) -> Store:
    """Return the utterances of one split in a condition, under the ids they have in `store`.

    Clean: `store` itself. Otherwise a store in its folder, made once, hearing the ambiences and
    rooms of its own split alone; whoever comes later maps the same file.

    Raises:
        NoiseAndRoomsError: if the ambiences or rooms cannot be used.
    """
    if condition == "clean":
        return store
    mark = _mark(condition, noise, rooms)
    text = f"{_VERSION} {store.sha256} {condition} {split} {mark}"
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    folder = store.folder / f"{condition}-{split}-{mark[:8]}"
    try:
        made = Store.open(folder)
        if made.sha256 == sha256:
            return made
    except StoreError:
        pass  # not there yet, or damaged: it is made anew
    utterances = store.of_split(split)
    if not utterances:
        raise ValueError(f"{store.folder}: has no {split} utterances to put into a condition")
    around = noise_and_rooms_for(condition, noise, rooms, split)

    def processed() -> Iterator[Utterance]:
        heard = map_in_order(
            lambda path: apply_to_stored(condition, store.waveform(path), path, around), utterances
        )
        for done, (path, waveform) in enumerate(zip(utterances, heard, strict=True), 1):
            yield path, store.speaker(path), split, waveform
            progress(done, len(utterances))

    return write_store(
        folder,
        processed(),
        {
            "sha256": sha256,
            "condition": condition,
            "surroundings": mark if condition in SOMEWHERE else "",
            "of": store.sha256,
        },
        dev_pairs=store.dev_pairs if split == "dev" else (),
    )


def noise_and_rooms_for(
    condition: Condition, noise: Path | None, rooms: Path | None, split: Split
) -> NoiseAndRooms:
    """Open a split's noise and rooms, or none if the condition uses none."""
    if condition in SOMEWHERE:
        return open_noise_and_rooms(noise, rooms, split)
    return NoiseAndRooms.from_arrays((), (), ())


def _mark(condition: Condition, noise: Path | None, rooms: Path | None) -> str:
    """Return 16 hex digits of what else decides the samples: noise and rooms, or a codec."""
    if condition in SOMEWHERE:
        return fingerprint(noise, rooms)
    text = codec.library() if condition == "codec" else ""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
