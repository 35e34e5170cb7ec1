"""Draw batches of P speakers x K utterances, and cut crops out of them.

Everything is a function of (seed, epoch): an epoch can be prepared again, in any process, and no
global generator is touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int16
from torch import Tensor

from spkmodel.augment import speed as speeds
from spkmodel.config import Batches, Speed
from spkmodel.data import audio
from spkmodel.data.prefetch import Prefetcher
from spkmodel.data.store import Store

_AHEAD = 4

Waveform = Int16[np.ndarray, " _samples"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Utterances grouped by speaker: the first K are of one, the next K of another.

    Where speed makes new speakers, a speaker at another rate is another one.
    """

    ids: tuple[str, ...]
    speaker_indices: tuple[int, ...]
    """Labels: with `rates`, the rate's place among them times the speakers, plus the speaker."""
    rates: tuple[float, ...] = ()
    """How much faster each is to be played; empty: none of them."""


def draw_epoch(
    ids: Sequence[str],
    speakers: Sequence[int],
    speakers_per_batch: int,
    utterances: int,
    seed: int,
    epoch: int,
    most_of_a_speaker: int | None = None,
    rates: Sequence[float] = (),
) -> list[Batch]:
    """Draw the batches of one epoch: as many full ones, without a speaker twice, as there can be.

    Every utterance is used once, apart from two remainders: what a speaker has beyond a multiple
    of `utterances` (which ones rotates from epoch to epoch), and what would fill the last batch
    only in part. A group whose speaker is in a batch already waits for the next one; nothing is
    dropped for it. voxceleb_trainer drops it, and uses 24 to 97 % of an epoch's utterances.

    Args:
        ids: of all utterances.
        speakers: of each utterance, its speaker's index.
        speakers_per_batch: P.
        utterances: K, of each speaker in a batch.
        seed: with `epoch`, decides everything.
        epoch: counted from 1.
        most_of_a_speaker: used of a speaker's utterances; the next ones are the next epoch's turn.
        rates: of speed as new speakers; every group of a speaker's utterances is played at one of
            them, and a speaker at two rates counts as two.
    """
    # A generator of this epoch alone: any epoch can be drawn again without those before it.
    rng = np.random.default_rng([seed, epoch])
    if most_of_a_speaker is None:
        groups = _groups(speakers, utterances, epoch, rng)
    else:
        # In an order of the training's own: neighbours in a list are often of one session.
        order = np.random.default_rng([seed, 0]).permutation(len(speakers)).tolist()
        groups = _groups(speakers, utterances, epoch, rng, most_of_a_speaker, order)
    count = max(speakers, default=0) + 1
    if rates:
        groups = _at_rates(groups, len(rates), count, rng)
    names = np.array(list(groups), dtype=np.int64)
    remaining = np.array([len(some) for some in groups.values()], dtype=np.int64)
    batches: list[Batch] = []
    for left in range(_most_batches(remaining, speakers_per_batch), 0, -1):
        chosen = _choose(remaining, speakers_per_batch, left, rng)
        remaining[chosen] -= 1
        drawn = [(row, name) for name in names[chosen].tolist() for row in groups[name].pop()]
        batches.append(
            Batch(
                tuple(ids[row] for row, _ in drawn),
                tuple(name for _, name in drawn),
                tuple(rates[name // count] for _, name in drawn) if rates else (),
            )
        )
    # Speakers with many groups are forced into the last batches; shuffled, no epoch ends on them.
    return [batches[i] for i in rng.permutation(len(batches))]


def crops(
    store: Store,
    batch: Batch,
    crop_samples: int,
    rng: np.random.Generator,
    level: Literal["stored", "peak"] = "stored",
) -> Float32[np.ndarray, "batch samples"]:
    """Cut a random crop of each utterance, in [-1, 1]; an utterance that is too short starts over.

    What is played at another rate is read so much longer or shorter that the crop is full.
    """
    cut = np.empty((len(batch.ids), crop_samples), dtype=np.float32)
    peaks = np.full((len(batch.ids), 1), 32768.0, dtype=np.float32)
    others: dict[float, list[tuple[int, np.ndarray]]] = {}
    for row, utterance in enumerate(batch.ids):
        waveform = store.waveform(utterance)
        if level == "peak":
            # Of the whole utterance: the peak of a crop of silence would amplify noise. As int,
            # since -(-32768) overflows int16.
            peaks[row] = max(1, int(waveform.max()), -int(waveform.min()))
        rate = batch.rates[row] if batch.rates else 1.0
        if rate == 1.0:
            cut[row] = _stretch(waveform, crop_samples, 0, rng)
        else:
            read, around = speeds.samples_read(crop_samples, rate), speeds.samples_around(rate)
            others.setdefault(rate, []).append((row, _stretch(waveform, read, around, rng)))
    # Together by rate: a resampler works on a whole batch in one call.
    for rate, stretches in others.items():
        rows, waveforms = zip(*stretches, strict=True)
        read_ones = torch.from_numpy(np.stack(waveforms).astype(np.float32))
        cut[list(rows)] = speeds.change_speed(read_ones, rate, crop_samples).numpy()
    cut /= peaks
    return cut


def _stretch(waveform: Waveform, samples: int, around: int, rng: np.random.Generator) -> Waveform:
    """Cut samples from a random position, with a margin on both sides (silence at the ends)."""
    spare = len(waveform) - samples
    if spare < 0:
        # Repeated from a random sample on, so that short utterances have more than one crop.
        start = int(rng.integers(len(waveform)))
        return np.resize(np.roll(waveform, around - start), samples + 2 * around)
    start = int(rng.integers(spare + 1))
    if around == 0:
        return waveform[start : start + samples]
    before, end = start - around, start + samples + around
    inside = waveform[max(0, before) : end]
    return np.pad(inside, (max(0, -before), max(0, end - len(waveform))))


class EpochBatches:
    """The batches of one epoch, cut out in a background thread while they are iterated.

    `len()` is their number; iterating again gives the same again. Each draws from a generator of
    its own, so that those before need not be cut to have the ones after.
    """

    def __init__(
        self,
        store: Store,
        config: Batches,
        seed: int,
        epoch_number: int,
        speed: Speed | None = None,
    ) -> None:
        self._store = store
        self._crop_samples = round(config.crop_seconds * audio.SAMPLE_RATE)
        self._level = config.level
        self._seed = (seed, epoch_number)
        self._rates_of_crops = () if speed is None or speed.new_speakers else speed.rates
        labels = {speaker: label for label, speaker in enumerate(store.train_speakers)}
        ids = store.of_split("train")
        self._plan = draw_epoch(
            ids,
            [labels[store.speaker(utterance)] for utterance in ids],
            config.speakers,
            config.utterances,
            seed,
            epoch_number,
            config.max_utterances_per_speaker,
            speed.ordered if speed is not None and speed.new_speakers else (),
        )

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.from_batch(0)

    def from_batch(self, done: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over the batches that follow the first `done`."""
        with Prefetcher(self._prepared(done), ahead=_AHEAD) as batches:
            yield from batches

    def _prepared(self, done: int) -> Iterator[tuple[Tensor, Tensor]]:
        for number, batch in enumerate(self._plan[done:], start=done):
            # Of this batch alone: a resumed epoch skips the batches that were done.
            rng = np.random.default_rng([*self._seed, number])
            if self._rates_of_crops:
                drawn = rng.choice(self._rates_of_crops, size=len(batch.ids))
                batch = replace(batch, rates=tuple(drawn.tolist()))
            waveforms = crops(self._store, batch, self._crop_samples, rng, self._level)
            yield torch.from_numpy(waveforms), torch.tensor(batch.speaker_indices)


def batches_of_epoch(
    store: Store, config: Batches, seed: int, epoch: int, speed: Speed | None = None
) -> EpochBatches:
    """Return the batches of an epoch (from 1): waveforms (batch, samples) and labels (batch,).

    A label's remainder by the number of training speakers is the speaker, at whatever rate.
    """
    return EpochBatches(store, config, seed, epoch, speed)


def batches_in_epoch(utterances_of: Sequence[int], config: Batches) -> int:
    """Count the batches that speakers with so many utterances fill, all at one speed."""
    most = config.max_utterances_per_speaker
    groups = [
        (count if most is None else min(most, count)) // config.utterances
        for count in utterances_of
    ]
    return _most_batches(np.array(groups, dtype=np.int64), config.speakers)


# --- which groups meet ------------------------------------------------------------------------


def _groups(
    speakers: Sequence[int],
    utterances: int,
    epoch: int,
    rng: np.random.Generator,
    most: int | None = None,
    order: Sequence[int] | None = None,
) -> dict[int, list[list[int]]]:
    """Group each speaker's utterances, by row, into shuffled groups of `utterances`."""
    rows_of: dict[int, list[int]] = {}
    for row in range(len(speakers)) if order is None else order:
        rows_of.setdefault(speakers[row], []).append(row)
    groups: dict[int, list[list[int]]] = {}
    for speaker, rows in rows_of.items():
        taken = len(rows) if most is None else min(most, len(rows))
        extra = len(rows) - taken // utterances * utterances
        # Rotated by the remainder, the end that is left out covers every utterance in turn.
        used = np.roll(rows, epoch * extra)[: len(rows) - extra]
        if len(used):
            groups[speaker] = rng.permutation(used).reshape(-1, utterances).tolist()
    return groups


def _at_rates(
    groups: dict[int, list[list[int]]], rates: int, speakers: int, rng: np.random.Generator
) -> dict[int, list[list[int]]]:
    """Move each group to the label of its speaker at a rate that is drawn for it."""
    moved: dict[int, list[list[int]]] = {}
    for speaker, some in groups.items():
        for rate, group in zip(rng.integers(rates, size=len(some)).tolist(), some, strict=True):
            moved.setdefault(rate * speakers + speaker, []).append(group)
    return moved


def _most_batches(groups: np.ndarray, speakers: int) -> int:
    """Return the largest number b of batches that speakers can fill, each used at most b times."""
    # If b batches can be filled, so can fewer: a binary search finds the largest b.
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
    """Choose the speakers of the next batch at random by groups remaining, required ones first.

    A speaker with a group for each batch left must be in this one, or fewer batches would be
    filled. The others are drawn in proportion to what remains of them (Efraimidis & Spirakis
    2006), so that speakers with many utterances do not only meet each other.
    """
    # Keys log(u) / w: their largest are a draw without replacement, by weight.
    with np.errstate(divide="ignore"):
        keys = np.log(rng.random(len(remaining))) / remaining
    due = remaining >= batches_left
    # Keys are negative; a positive one comes before all others.
    keys[due] = -keys[due]
    keys[remaining == 0] = -np.inf
    return np.argpartition(keys, -speakers)[-speakers:]
