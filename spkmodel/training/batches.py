"""Cut crops of the planned utterances, batch by batch, in a background thread.

Everything is a function of (seed, epoch): an epoch can be prepared again, in any process, and no
global generator is touched.
"""

from collections.abc import Iterator
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
from spkmodel.training.epoch_plan import Batch, draw_epoch

_AHEAD = 4
"""Batches that are cut before they are asked for; each takes the memory of one."""

Waveform = Int16[np.ndarray, " _samples"]


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
    cut = np.empty((len(batch.rows), crop_samples), dtype=np.float32)
    peaks = np.full((len(batch.rows), 1), 32768.0, dtype=np.float32)
    others: dict[float, list[tuple[int, np.ndarray]]] = {}
    for row, utterance in enumerate(batch.rows.tolist()):
        waveform = store.waveform_at(utterance)
        if level == "peak":
            # Of the whole utterance: the peak of a crop of silence would amplify noise. As int,
            # since -(-32768) overflows int16.
            peaks[row] = max(1, int(waveform.max()), -int(waveform.min()))
        rate = 1.0 if batch.rates is None else float(batch.rates[row])
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
        rows, labels = store.training_rows
        self._rows = rows
        self._plan = draw_epoch(
            labels,
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
        for number in range(done, len(self._plan)):
            batch = self._plan[number]
            # Of this batch alone: a resumed epoch skips the batches that were done.
            rng = np.random.default_rng([*self._seed, number])
            rates = batch.rates
            if self._rates_of_crops:
                rates = rng.choice(self._rates_of_crops, size=len(batch.rows))
            batch = Batch(self._rows[batch.rows], batch.labels, rates)
            waveforms = crops(self._store, batch, self._crop_samples, rng, self._level)
            yield torch.from_numpy(waveforms), torch.from_numpy(batch.labels)


def batches_of_epoch(
    store: Store, config: Batches, seed: int, epoch: int, speed: Speed | None = None
) -> EpochBatches:
    """Return the batches of an epoch (from 1): waveforms (batch, samples) and labels (batch,).

    A label's remainder by the number of training speakers is the speaker, at whatever rate.
    """
    return EpochBatches(store, config, seed, epoch, speed)
