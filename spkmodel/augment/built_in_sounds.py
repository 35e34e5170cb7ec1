"""Synthesise the built-in ambiences and rooms, which a training uses that was given no others."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from spkmodel.augment.sound_store import align_room
from spkmodel.data.audio import SAMPLE_RATE

VERSION = "built-in surroundings 1"
"""Stands for their contents where those of files are hashed."""

Sound = Float32[np.ndarray, "_samples"]
_Noise = Float64[np.ndarray, "_samples"]


def synthesise(kind: Literal["ambience", "room"], split: str) -> list[tuple[str, Sound]]:
    """Return the names and the sounds of a split: two of each sort for train, else one."""
    makers = _AMBIENCES if kind == "ambience" else _ROOMS
    named = []
    for copy in range(2 if split == "train" else 1):
        for name, make in makers.items():
            full_name = f"built-in {kind} {name}, {split} {copy}"
            # The name is the seed: what is added later leaves the others as they are.
            sound = make(np.random.default_rng(list(full_name.encode())))
            named.append((full_name, sound))
    return named


_AMBIENCE_SAMPLES = 8 * SAMPLE_RATE


def _coloured(
    chance: np.random.Generator, slope_db: float, low_hz: float = 20.0, high_hz: float = 8000.0
) -> _Noise:
    """Synthesise noise of unit power, falling by `slope_db` an octave, soft below `low_hz`."""
    hz = np.fft.rfftfreq(_AMBIENCE_SAMPLES, 1 / SAMPLE_RATE)
    spectrum = chance.standard_normal((2, len(hz))).T.copy().view(np.complex128)[:, 0]
    spectrum *= np.maximum(hz, low_hz) ** (-slope_db / 20 / np.log10(2))
    spectrum[(hz < low_hz / 2) | (hz > high_hz)] = 0
    noise = np.fft.irfft(spectrum, _AMBIENCE_SAMPLES)
    return noise / noise.std()


def _slow(chance: np.random.Generator, rate_hz: float) -> _Noise:
    """Synthesise a curve of unit deviation that wanders about `rate_hz` times a second."""
    points = chance.standard_normal(max(4, round(rate_hz * 2 * _AMBIENCE_SAMPLES / SAMPLE_RATE)))
    places = np.linspace(0, len(points) - 1, _AMBIENCE_SAMPLES)
    return np.interp(places, np.arange(len(points)), points)


def _to_sound(noise: _Noise) -> Sound:
    return np.asarray(0.7 * noise / np.abs(noise).max(), dtype=np.float32)


def _hiss(chance: np.random.Generator) -> Sound:
    return _to_sound(_coloured(chance, chance.uniform(-1, 2)))


def _rumble(chance: np.random.Generator) -> Sound:
    level = np.exp(0.4 * _slow(chance, 0.5))
    return _to_sound(level * _coloured(chance, chance.uniform(4, 7)))


def _hum(chance: np.random.Generator) -> Sound:
    time = np.arange(_AMBIENCE_SAMPLES) / SAMPLE_RATE
    mains_hz = chance.choice([50.0, 60.0]) * chance.uniform(0.995, 1.005)
    harmonics = np.arange(1, 16)
    weights = chance.uniform(0.2, 1, len(harmonics)) / harmonics ** chance.uniform(0.4, 1.2)
    phases = chance.uniform(0, 2 * np.pi, len(harmonics))
    tones = [
        weight * np.sin(2 * np.pi * mains_hz * harmonic * time + phase)
        for harmonic, weight, phase in zip(harmonics, weights, phases, strict=True)
    ]
    return _to_sound(np.sum(tones, axis=0) + 0.3 * _coloured(chance, 3.0))


def _fan(chance: np.random.Generator) -> Sound:
    time = np.arange(_AMBIENCE_SAMPLES) / SAMPLE_RATE
    blades_hz = chance.uniform(15, 90)
    beat = 1 + 0.3 * np.sin(2 * np.pi * blades_hz * time + 0.2 * _slow(chance, 1.0))
    return _to_sound(beat * _coloured(chance, chance.uniform(3, 5), low_hz=100.0))


def _babble(chance: np.random.Generator) -> Sound:
    """Synthesise several noises in the bands of speech, each with its own rhythm of syllables."""
    total = np.zeros(_AMBIENCE_SAMPLES)
    for _ in range(4):
        centres = chance.uniform((200, 600, 1500), (500, 1400, 3000))
        rhythm = np.exp(1.2 * _slow(chance, chance.uniform(2, 4)))
        for centre in centres:
            band = _coloured(chance, 4.0, float(centre), 1.4 * float(centre))
            total += rhythm * band * (400 / centre) ** 0.7
    return _to_sound(total + 0.2 * _coloured(chance, 4.0))


def _crackle(chance: np.random.Generator) -> Sound:
    """Synthesise many short clicks over a soft hiss, like rain on a roof or a fire."""
    clicks = np.zeros(_AMBIENCE_SAMPLES)
    count = int(chance.integers(200, 2000))
    places = chance.integers(0, _AMBIENCE_SAMPLES, count)
    clicks[places] = chance.standard_normal(count) * np.exp(chance.standard_normal(count))
    tail = np.exp(-np.arange(400) / chance.uniform(10, 80)) * chance.standard_normal(400)
    return _to_sound(
        np.convolve(clicks, tail)[:_AMBIENCE_SAMPLES] / np.sqrt(count / _AMBIENCE_SAMPLES)
        + 0.3 * _coloured(chance, 2.0)
    )


_AMBIENCES: dict[str, Callable[[np.random.Generator], Sound]] = {
    "hiss": _hiss,
    "rumble": _rumble,
    "hum": _hum,
    "fan": _fan,
    "babble": _babble,
    "crackle": _crackle,
}


def _synthetic_room(chance: np.random.Generator, t60_seconds: float) -> Sound:
    """Synthesise a room: the direct path, then noise that decays by 60 dB in `t60_seconds`."""
    samples = round(t60_seconds * SAMPLE_RATE)
    time = np.arange(samples) / SAMPLE_RATE
    tail = chance.standard_normal(samples) * 10 ** (-3 * time / t60_seconds)
    dull = np.convolve(tail, np.ones(4) / 2)[:samples]
    tail = np.where(time < 0.3 * t60_seconds, tail, dull)
    tail[: int(chance.uniform(0.001, 0.006) * SAMPLE_RATE)] = 0
    direct_to_tail_db = chance.uniform(-4, 8)
    response = tail / np.sqrt(np.sum(tail**2)) * 10 ** (-direct_to_tail_db / 20)
    response[0] = max(1.0, 1.01 * np.abs(response).max())
    return align_room(response)


def _room_of(low: float, high: float) -> Callable[[np.random.Generator], Sound]:
    return lambda chance: _synthetic_room(chance, chance.uniform(low, high))


_ROOMS: dict[str, Callable[[np.random.Generator], Sound]] = {
    f"t60 {low:.1f}-{low + 0.1:.1f} s": _room_of(low, low + 0.1)
    for low in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
}
