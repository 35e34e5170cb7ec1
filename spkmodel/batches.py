"""Batches of P speakers x K utterances: which utterances meet, and what is cut out of them.

Everything is a function of (seed, epoch): an epoch can be prepared again, in any process, and no
global generator is touched.
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from spkmodel import audio
from spkmodel.config import Batches
from spkmodel.store import Store

_AHEAD = 4

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Batch:
    """Utterances grouped by speaker: the first K are of one, the next K of another."""

    ids: tuple[str, ...]
    speaker_indices: tuple[int, ...]


def epoch(
    ids: Sequence[str],
    speakers: Sequence[int],
    speakers_per_batch: int,
    utterances: int,
    seed: int,
    epoch: int,
) -> list[Batch]:
    """Full batches without a speaker twice, as many as there can be.

    Every utterance is used once, apart from two remainders: what a speaker has beyond a multiple
    of `utterances` (which ones rotates from epoch to epoch), and what would fill the last batch
    only in part. A group whose speaker is in a batch already waits for the next one; nothing is
    dropped for it.

    Args:
        ids: of all utterances.
        speakers: of each utterance, its speaker's index.
        speakers_per_batch: P.
        utterances: K, of each speaker in a batch.
        seed: with `epoch`, decides everything.
        epoch: counted from 1.
    """
    rng = np.random.default_rng([seed, epoch])
    groups = _groups(speakers, utterances, epoch, rng)
    names = np.array(list(groups), dtype=np.int64)
    remaining = np.array([len(some) for some in groups.values()], dtype=np.int64)
    batches: list[Batch] = []
    for left in range(_most_batches(remaining, speakers_per_batch), 0, -1):
        chosen = _choose(remaining, speakers_per_batch, left, rng)
        remaining[chosen] -= 1
        rows = [row for name in names[chosen].tolist() for row in groups[name].pop()]
        batches.append(Batch(tuple(ids[row] for row in rows), tuple(speakers[row] for row in rows)))
    return [batches[i] for i in rng.permutation(len(batches))]


def crops(
    store: Store, batch: Batch, crop_samples: int, rng: np.random.Generator
) -> Float32[np.ndarray, "batch samples"]:
    """A crop at random of each utterance, in [-1, 1]; one that is too short starts over."""
    cut = np.empty((len(batch.ids), crop_samples), dtype=np.float32)
    for row, utterance in enumerate(batch.ids):
        waveform = store.waveform(utterance)
        spare = len(waveform) - crop_samples
        if spare >= 0:
            start = int(rng.integers(spare + 1))
            cut[row] = waveform[start : start + crop_samples]
        else:
            start = int(rng.integers(len(waveform)))
            cut[row] = np.resize(np.roll(waveform, -start), crop_samples)
    cut /= 32768.0
    return cut


class EpochBatches:
    """The batches of one epoch, cut out in a background thread while they are iterated.

    `len()` is their number; iterating again gives the same again.
    """

    def __init__(self, store: Store, config: Batches, seed: int, epoch_number: int) -> None:
        self._store = store
        self._crop_samples = round(config.crop_seconds * audio.SAMPLE_RATE)
        self._seed = (seed, epoch_number)
        labels = {speaker: label for label, speaker in enumerate(store.train_speakers)}
        ids = store.of_split("train")
        self._plan = epoch(
            ids,
            [labels[store.speaker(utterance)] for utterance in ids],
            config.speakers,
            config.utterances,
            seed,
            epoch_number,
        )

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        with Prefetcher(self._prepared(), ahead=_AHEAD) as batches:
            yield from batches

    def _prepared(self) -> Iterator[tuple[Tensor, Tensor]]:
        for number, batch in enumerate(self._plan):
            rng = np.random.default_rng([*self._seed, number])
            waveforms = crops(self._store, batch, self._crop_samples, rng)
            yield torch.from_numpy(waveforms), torch.tensor(batch.speaker_indices)


def batches_of_epoch(store: Store, config: Batches, seed: int, epoch: int) -> EpochBatches:
    """Waveforms (batch, samples) and speakers (batch,), all full batches; `epoch` from 1."""
    return EpochBatches(store, config, seed, epoch)


class Prefetcher(Generic[Item]):
    """Draws from an iterable in one background thread, a few items ahead.

    Iterated once. An exception there is raised here, in its turn. Leaving the `with` block early
    stops the thread after the item it is at.
    """

    def __init__(self, items: Iterable[Item], ahead: int) -> None:
        self._items = items
        self._ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(max(ahead, 2))
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="prefetch", daemon=True)

    def __enter__(self) -> "Prefetcher[Item]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing.set()
        while self._thread.is_alive():
            # Room for what the thread is about to put.
            while not self._ready.empty():
                self._ready.get()
            self._thread.join(0.01)

    def __iter__(self) -> Iterator[Item]:
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    def _draw(self) -> None:
        try:
            for item in self._items:
                self._ready.put((item,))
                if self._is_closing.is_set():
                    return
            self._ready.put(None)
        except BaseException as error:  # noqa: BLE001  it is raised where items are awaited
            self._ready.put(error)


# --- which groups meet ------------------------------------------------------------------------


def _groups(
    speakers: Sequence[int], utterances: int, epoch: int, rng: np.random.Generator
) -> dict[int, list[list[int]]]:
    """Each speaker's utterances, by row, in shuffled groups of `utterances`."""
    rows_of: dict[int, list[int]] = {}
    for row, speaker in enumerate(speakers):
        rows_of.setdefault(speaker, []).append(row)
    groups: dict[int, list[list[int]]] = {}
    for speaker, rows in rows_of.items():
        extra = len(rows) % utterances
        # Rotated by the remainder, the end that is left out covers every utterance in turn.
        used = np.roll(rows, epoch * extra)[: len(rows) - extra]
        if len(used):
            groups[speaker] = rng.permutation(used).reshape(-1, utterances).tolist()
    return groups


def _most_batches(groups: np.ndarray, speakers: int) -> int:
    """The largest number b of batches for which speakers, each at most b times, suffice."""
    low, high = 0, int(groups.sum()) // speakers
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(groups, middle).sum() >= speakers * middle:
            low = middle
        else:
            high = middle - 1
    return low


def _choose(
    remaining: np.ndarray, speakers: int, batches_left: int, rng: np.random.Generator
) -> np.ndarray:
    """Who is in the next batch: at random by groups remaining, those that must be in first.

    A speaker with a group for each batch left must be in this one, or fewer batches would be
    filled. The others are drawn in proportion to what remains of them (Efraimidis & Spirakis
    2006), so that speakers with many utterances do not only meet each other.
    """
    with np.errstate(divide="ignore"):
        keys = np.log(rng.random(len(remaining))) / remaining
    due = remaining >= batches_left
    keys[due] = -keys[due]
    keys[remaining == 0] = -np.inf
    return np.argpartition(keys, -speakers)[-speakers:]
