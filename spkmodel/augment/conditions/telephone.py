"""Simulate a fixed telephone line: 300 to 3,400 Hz, 8 kHz, G.711 mu-law; nothing is drawn."""

import io

import numpy as np
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Float32
from torch import Tensor

from spkmodel.data.audio import SAMPLE_RATE

LINE_RATE = 8_000
PASSED_HZ = (300.0, 3400.0)
STOPPED_HZ = (200.0, 3600.0)
"""Between the two pairs the gain goes from 1 to 0 as half a period of a cosine."""

LINE_DBOV = -26.0
"""Mean power on the line, the level that ITU-T tests of speech set; the finest steps of mu-law
are for the quiet, so what it does depends on the level."""

_PEAK = 0.99
_SILENCE = 1e-10
_RING = 1024


def transmit(
    waveform: Float32[np.ndarray, " samples"],
) -> Float32[np.ndarray, " samples"]:
    """Return the utterance after the line, at 16 kHz and at the level that it had."""
    line = _band_passed(_resampled(waveform, SAMPLE_RATE, LINE_RATE))
    power = float(np.mean(np.square(line, dtype=np.float64)))
    if power < _SILENCE:
        return np.zeros_like(waveform)
    peak = float(np.abs(line).max())
    raised = min(10 ** (LINE_DBOV / 20) / np.sqrt(power), _PEAK / peak)
    processed = mu_law(np.asarray(line * raised, dtype=np.float32)) / np.float32(raised)
    return _resampled(processed, LINE_RATE, SAMPLE_RATE)[: len(waveform)]


def mu_law(line: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Encode samples as G.711's 8 bits and decode them, by libsndfile's tables."""
    coded = io.BytesIO()
    soundfile.write(coded, line, LINE_RATE, format="RAW", subtype="ULAW")
    coded.seek(0)
    decoded, _ = soundfile.read(
        coded, dtype="float32", format="RAW", subtype="ULAW", samplerate=LINE_RATE, channels=1
    )
    return np.asarray(decoded, dtype=np.float32)


def _resampled(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    resampled: Tensor = torchaudio.functional.resample(
        torch.from_numpy(np.ascontiguousarray(waveform)), rate, wanted, lowpass_filter_width=32
    )
    return np.asarray(resampled.numpy())


def _band_passed(line: np.ndarray) -> np.ndarray:
    """Apply the band-pass without phase shift; the ends fade into silence."""
    size = len(line) + _RING
    hz = np.fft.rfftfreq(size, 1 / LINE_RATE)
    return np.asarray(np.fft.irfft(np.fft.rfft(line, size) * _gain(hz), size)[: len(line)])


def _gain(hz: np.ndarray) -> np.ndarray:
    low = (hz - STOPPED_HZ[0]) / (PASSED_HZ[0] - STOPPED_HZ[0])
    high = (STOPPED_HZ[1] - hz) / (STOPPED_HZ[1] - PASSED_HZ[1])
    inside = np.clip(np.minimum(low, high), 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * inside))
