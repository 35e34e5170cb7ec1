"""Conditions that the same pairs are judged in: as recorded, or each utterance somewhere else.

A corpus with one recording session a speaker lets a network tell channels apart instead of
voices; the mismatched condition takes that away.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, assert_never

import numpy as np
import torch
from jaxtyping import Float32, Int16

from spkmodel import augment
from spkmodel.progress import Progress, silent
from spkmodel.store import Store, StoreError, Utterance, write_store
from spkmodel.surroundings import Surroundings, fingerprint, open_surroundings

Condition = Literal["clean", "mismatched"]
CONDITIONS: tuple[Condition, ...] = ("clean", "mismatched")

ROOM_PROBABILITY = 0.5
FILTER_DB = 8.0
SNR_DB_LOW, SNR_DB_HIGH = 5.0, 20.0

_VERSION = 1
"""Raised when the same utterance would come out otherwise; conditioned stores are made anew."""

_PEAK = 0.99


def apply(
    condition: Condition,
    waveform: Float32[np.ndarray, " samples"],
    utterance: str,
    surroundings: Surroundings,
) -> Float32[np.ndarray, " samples"]:
    """One utterance in a condition; its path is the seed, so neither order nor process matters.

    Mismatched: a smooth random filter within +-8 dB, in half the cases a room, an ambience 5 to
    20 dB below the speech.
    """
    match condition:
        case "clean":
            return waveform
        case "mismatched":
            return _mismatched(waveform, utterance, surroundings)
        case _:
            assert_never(condition)


def _mismatched(waveform: np.ndarray, utterance: str, surroundings: Surroundings) -> np.ndarray:
    digest = hashlib.sha256(utterance.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    in_room, snr, offset = torch.rand(3, generator=generator).tolist()
    room = int(torch.randint(len(surroundings.rooms), (), generator=generator))
    ambience = int(torch.randint(len(surroundings.ambiences), (), generator=generator))
    points_db = augment.draw_filter(1, FILTER_DB, generator)
    heard = augment.smooth_filter(torch.from_numpy(waveform).unsqueeze(0), points_db)
    if in_room < ROOM_PROBABILITY:
        heard = augment.reverberate(heard, [torch.from_numpy(surroundings.rooms[room])])
    sound = torch.from_numpy(surroundings.ambiences[ambience])
    heard = augment.add_ambience(
        heard,
        augment.excerpt(sound, offset, len(waveform)).unsqueeze(0),
        torch.tensor([SNR_DB_LOW + snr * (SNR_DB_HIGH - SNR_DB_LOW)]),
    )
    return np.asarray(heard.squeeze(0).numpy())


def conditioned_store(
    store: Store,
    split: Literal["dev", "test"],
    condition: Condition,
    noise: Path | None,
    rooms: Path | None,
    progress: Progress = silent,
) -> Store:
    """The utterances of one split in a condition, under the ids they have in `store`.

    Clean: `store` itself. Otherwise a store in its folder, made once, hearing the ambiences and
    rooms of its own split alone; whoever comes later maps the same file.

    Raises:
        SurroundingsError: if the ambiences or rooms cannot be used.
    """
    if condition == "clean":
        return store
    mark = fingerprint(noise, rooms)
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
    around = open_surroundings(noise, rooms, split)

    def heard() -> Iterator[Utterance]:
        for done, path in enumerate(utterances, 1):
            waveform = hear(condition, store.waveform(path), path, around)
            yield path, store.speaker(path), split, waveform
            progress(done, len(utterances))

    return write_store(
        folder,
        heard(),
        {"sha256": sha256, "condition": condition, "surroundings": mark, "of": store.sha256},
        dev_pairs=store.dev_pairs if split == "dev" else (),
    )


def hear(
    condition: Condition,
    waveform: Int16[np.ndarray, " samples"],
    utterance: str,
    surroundings: Surroundings,
) -> Int16[np.ndarray, " samples"]:
    """`apply` between stored samples; what would clip is made quieter as a whole."""
    if condition == "clean":
        return waveform
    heard = apply(
        condition, waveform.astype(np.float32) / np.float32(32768), utterance, surroundings
    )
    return _to_int16(heard)


def _to_int16(
    waveform: Float32[np.ndarray, " samples"],
) -> Int16[np.ndarray, " samples"]:
    peak = float(np.abs(waveform).max(initial=0))
    scale = min(1.0, _PEAK / peak) if peak > 0 else 1.0
    return np.rint(waveform * np.float32(scale * 32768)).astype(np.int16)
