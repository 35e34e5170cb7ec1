"""Take the waveforms that a caller has: arrays, tensors, lists, of any rate."""

from typing import Any

import numpy as np
from jaxtyping import Float32

from search.core.errors import UsageError

_LOUDEST = 4.0
"""Of floats: no resampling overshoots full scale so far, and integers in a float array do."""


def count_dimensions(waveform: Any) -> int:
    """Return 1 for one waveform, 2 for several.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(waveform, list | tuple):
        return 1 if waveform and np.ndim(waveform[0]) == 0 else 2
    dimensions = int(getattr(waveform, "ndim", 0))
    if dimensions not in (1, 2):
        raise UsageError(
            f"a waveform has shape (samples,), several have (n, samples), got {dimensions} "
            "dimensions; for files there is embed_files"
        )
    return dimensions


def to_waveform(given: Any, place: int, sample_rate: int) -> Float32[np.ndarray, " samples"]:
    """Return a waveform as float32 at 16 kHz; `place` is its number, for messages.

    Raises:
        UsageError: naming the waveform and what is wrong.
    """
    from spkmodel.data import audio

    samples = _to_floats(given, place)
    if sample_rate != audio.SAMPLE_RATE:
        try:
            samples = audio.resample(samples, sample_rate)
        except audio.AudioError as error:
            raise UsageError(f"waveform {place}: {error}") from error
    if len(samples) < audio.SHORTEST_SECONDS * audio.SAMPLE_RATE:
        raise UsageError(
            f"waveform {place}: {len(samples) / audio.SAMPLE_RATE:.3f} s are too short; at least "
            f"{audio.SHORTEST_SECONDS} s are wanted"
        )
    loudest = float(np.abs(samples).max())
    if not loudest <= _LOUDEST:
        raise UsageError(
            f"waveform {place}: its values reach {loudest:g}; floats lie in [-1, 1], and integers "
            "are passed as int16"
        )
    if loudest == 0:
        raise UsageError(f"waveform {place}: it is silent")
    return samples


def _to_floats(given: Any, place: int) -> Float32[np.ndarray, " samples"]:
    samples = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    if samples.ndim != 1:
        raise UsageError(f"waveform {place}: shape (samples,) is wanted, got {samples.shape}")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768)
    if samples.dtype.kind != "f":
        raise UsageError(
            f"waveform {place}: floats in [-1, 1] or int16 are wanted, got {samples.dtype}"
        )
    return samples.astype(np.float32)
