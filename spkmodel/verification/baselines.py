"""Score pairs without a network: by means and deviations of mel frames, and by LDA on them.

A network that is not clearly better than these has learned little that counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16
from sklearn.preprocessing import StandardScaler

from spkmodel.augment.conditions import Condition, apply_to_stored, noise_and_rooms_for
from spkmodel.core.progress import Progress, silent
from spkmodel.core.threads import map_in_order
from spkmodel.data.lists import Pair
from spkmodel.data.store import Store
from spkmodel.verification import intervals, metrics

VERSION = 1
"""Raised when the same pairs would be scored otherwise; stored results are computed anew."""

SAMPLE_RATE = 16_000
WINDOW, HOP, FFT = 400, 160, 512
MELS, LOW_HZ, HIGH_HZ = 40, 60.0, 7600.0
POWER_FLOOR = 1e-8
QUIET_FRACTION = 0.3
"""Of the frames, the quietest, left out."""
COEFFICIENTS = slice(1, 30)
LDA_DIRECTIONS = 40
LDA_RIDGE = 1e-3
"""Of the mean diagonal of the scatter within speakers, added to its diagonal."""

Numbers = Float[np.ndarray, "utterances dim"]

_COSINE = "mel statistics, cosine"
_LDA = "mel statistics, LDA, cosine"


@dataclass(frozen=True, eq=False)
class Baseline:
    """The result of one baseline on a list of pairs; rates are fractions."""

    name: str
    eer: float
    low: float | None
    high: float | None
    """The 95 % interval of `eer` over the draw of speakers; None: too few speakers."""
    scores: Float[np.ndarray, " pairs"]
    speakers: int
    why_no_interval: str = ""
    """Empty where there is one."""


def compute_baselines(
    train: Store | None,
    store: Store,
    pairs: Sequence[Pair],
    condition: Condition = "clean",
    noise: Path | None = None,
    rooms: Path | None = None,
    progress: Progress = silent,
) -> list[Baseline]:
    """Score `pairs`, whose utterances `store` has in `condition`, by every baseline.

    The training utterances of `train`, put into the same condition with the ambiences and rooms of
    the training split, standardise the numbers and train the LDA. Without any, there is the cosine
    alone, standardised on the utterances of the pairs themselves.
    """
    paired = list(dict.fromkeys(path for pair in pairs for path in (pair.enrolment, pair.test)))
    training = train.of_split("train") if train is not None else []
    count = _ProgressCounter(len(paired) + len(training), progress)
    numbers = map_in_order(lambda path: mel_statistics(store.waveform(path)), paired)
    tested = {path: count.add(each) for path, each in zip(paired, numbers, strict=True)}
    if train is None or not training:
        scaler = StandardScaler().fit(np.stack(list(tested.values())))
        named = [(f"{_COSINE} (standardised on these utterances)", _normalise(tested, scaler))]
    else:
        hear = _hearing(train, condition, noise, rooms)
        training_numbers = np.stack(
            [
                count.add(each)
                for each in map_in_order(lambda path: mel_statistics(hear(path)), training)
            ]
        )
        # Fitted on training speakers alone; those of the pairs must stay unknown.
        scaler = StandardScaler().fit(training_numbers)
        speakers = np.array([train.speaker(path) for path in training])
        directions = lda_directions(scaler.transform(training_numbers), speakers)
        named = [
            (_COSINE, _normalise(tested, scaler)),
            (_LDA, _normalise(tested, scaler, directions)),
        ]
    return [_score_baseline(name, units, store, pairs) for name, units in named]


def _hearing(
    train: Store, condition: Condition, noise: Path | None, rooms: Path | None
) -> Callable[[str], Int16[np.ndarray, " _samples"]]:
    """Return what gives the waveform of a training utterance in a condition."""
    if condition == "clean":
        return train.waveform
    around = noise_and_rooms_for(condition, noise, rooms, "train")
    return lambda path: apply_to_stored(condition, train.waveform(path), path, around)


class _ProgressCounter:
    """Report the progress of work that is done item by item."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, result: np.ndarray) -> np.ndarray:
        self._done += 1
        self._progress(self._done, self._total)
        return result


def _normalise(
    statistics: Mapping[str, Float[np.ndarray, " dim"]],
    scaler: StandardScaler,
    directions: Float[np.ndarray, "dim kept"] | None = None,
) -> dict[str, Float[np.ndarray, " _kept"]]:
    numbers = scaler.transform(np.stack(list(statistics.values())))
    if directions is not None:
        numbers = numbers @ directions
    lengths = np.linalg.norm(numbers, axis=1, keepdims=True)
    return dict(zip(statistics, numbers / np.maximum(lengths, 1e-12), strict=True))


def _score_baseline(
    name: str,
    units: Mapping[str, Float[np.ndarray, " dim"]],
    store: Store,
    pairs: Sequence[Pair],
) -> Baseline:
    scores = np.array([float(units[pair.enrolment] @ units[pair.test]) for pair in pairs])
    targets = np.array([pair.target for pair in pairs], dtype=bool)
    interval = intervals.eer_interval(
        scores,
        targets,
        [store.speaker(pair.enrolment) for pair in pairs],
        [store.speaker(pair.test) for pair in pairs],
    )
    return Baseline(
        name,
        metrics.eer(scores, targets),
        interval.low,
        interval.high,
        scores,
        interval.speakers,
        interval.why_not,
    )


# --- the numbers of an utterance -------------------------------------------------------------


def mel_statistics(waveform: Int16[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
    """Compute mean and deviation of 29 mel cepstral coefficients over the louder frames."""
    samples = waveform.astype(np.float32) / np.float32(32768)
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    spectrum = np.fft.rfft(frames * _window(), FFT)
    power = spectrum.real**2 + spectrum.imag**2
    log_mels = np.log(power @ _mel_filters() + np.float32(POWER_FLOOR))
    # Pauses describe the room rather than the voice.
    energy = log_mels.mean(axis=1)
    loud = log_mels[energy >= np.quantile(energy, QUIET_FRACTION)]
    coefficients = loud.astype(np.float64) @ _cosines()
    return np.concatenate([coefficients.mean(axis=0), coefficients.std(axis=0)])


@lru_cache(maxsize=1)
def _window() -> Float[np.ndarray, " window"]:
    return np.hamming(WINDOW).astype(np.float32)


@lru_cache(maxsize=1)
def _mel_filters() -> Float[np.ndarray, "bins mels"]:
    """Return triangles of height 1, even in mels (O'Shaughnessy's 2595 log10(1 + f / 700))."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    edges_hz = 700 * (10 ** (np.linspace(low, high, MELS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - hz) / (edges_hz[2:] - edges_hz[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


@lru_cache(maxsize=1)
def _cosines() -> Float[np.ndarray, "mels coefficients"]:
    """Return the kept columns of the orthonormal DCT-II."""
    angles = np.pi * np.outer(np.arange(MELS) + 0.5, np.arange(MELS)) / MELS
    basis: np.ndarray = np.sqrt(2 / MELS) * np.cos(angles)
    return basis[:, COEFFICIENTS]


# --- LDA -------------------------------------------------------------------------------------


def lda_directions(numbers: Numbers, speakers: np.ndarray) -> Float[np.ndarray, "dim kept"]:
    """Return the directions of most variance between over within speakers, best first.

    They have unit variance within speakers. There are at most as many as speakers less one.
    """
    names, which = np.unique(speakers, return_inverse=True)
    counts = np.bincount(which)
    means = np.zeros((len(names), numbers.shape[1]))
    np.add.at(means, which, numbers)
    means /= counts[:, None]
    inner = numbers - means[which]
    outer = (means - numbers.mean(axis=0)) * np.sqrt(counts)[:, None]
    within = inner.T @ inner / len(numbers)
    # Few utterances per speaker leave directions without variance; the ridge keeps them out.
    within += LDA_RIDGE * np.mean(np.diag(within)) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)
    _, turned = np.linalg.eigh(whiten.T @ (outer.T @ outer / len(numbers)) @ whiten)
    kept = min(LDA_DIRECTIONS, len(names) - 1, numbers.shape[1])
    directions: np.ndarray = whiten @ turned[:, ::-1][:, :kept]
    return directions
