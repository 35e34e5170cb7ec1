"""Read audio files as int16 waveforms; the files are not trusted.

libsndfile reads WAV, FLAC, Ogg, Opus, MP3, Sphere, AIFF and their relatives; PyAV reads the rest,
such as m4a. What a header claims is bounded before anything is allocated for it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, Int16

from spkmodel.core.cores import usable_cores
from spkmodel.core.shell import quote_path
from spkmodel.data.formats.audio_file import (
    SAMPLE_RATE,
    SHORTEST_SECONDS,
    AudioError,
    Digest,
    describe_form,
    open_audio,
    read_mono,
    require_resamplable,
    require_whole,
)
from spkmodel.data.formats.compressed_audio import CompressedFile

__all__ = [
    "SAMPLE_RATE",
    "SHORTEST_SECONDS",
    "AudioError",
    "Decoded",
    "decode",
    "in_parallel",
    "is_clipped",
    "is_silent",
    "read",
    "read_any_audio",
    "read_resampled",
    "resample",
    "seconds",
]

_PACK = "`spksearch corpus pack DIR --resample` converts it"
_AHEAD = 8
"""Results of one thread that may wait for the reader."""

_SILENT_PEAK = 33
_CLIPPED_FRACTION = 0.001

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The samples of a file, and what was done to them."""

    samples: Int16[np.ndarray, " samples"]
    divided_by: float
    """The largest sample of the file (full scale being 1) where it is above 1, else 1."""


def read(path: Path) -> Int16[np.ndarray, " samples"]:
    """Read a 16 kHz mono file, bit for bit if it is stored as 16-bit integers."""
    return decode(path).samples


def read_resampled(path: Path) -> Int16[np.ndarray, " samples"]:
    """Read a file as 16 kHz mono, converted if it has another form."""
    return decode(path, resample=True).samples


def decode(path: Path, resample: bool = False, digest: Digest | None = None) -> Decoded:
    """Read a file as 16 kHz mono, bit for bit if it is 16-bit integers in this form already.

    Samples above full scale, which only files of floats and lossy formats have, are never clipped:
    the file is divided by its largest sample.

    Args:
        path: of the file.
        resample: convert another form: channels are averaged, then resampled band-limited.
        digest: updated with all bytes of the file.

    Raises:
        AudioError: if it cannot be decoded or is no usable speech, or has another form.
    """
    with open_audio(path, digest) as file:
        has_form = (file.samplerate, file.channels) == (SAMPLE_RATE, 1)
        if not has_form and not resample:
            raise AudioError(
                f"{quote_path(path)}: {describe_form(file)}; the store takes {SAMPLE_RATE} Hz "
                f"mono; {_PACK}",
                kind="other_form",
            )
        if not has_form:
            require_resamplable(path, file)
        elif not isinstance(file, CompressedFile) and file.subtype == "PCM_16":
            samples = file.read(frames=file.frames, dtype="int16")
            return Decoded(require_whole(path, file, samples), 1.0)
        waveform = read_mono(path, file)
        rate = file.samplerate
    return _to_int16(waveform if rate == SAMPLE_RATE else _resample(waveform, rate))


def read_any_audio(path: Path) -> Float32[np.ndarray, " samples"]:
    """Read a file of any form as a 16 kHz mono waveform in [-1, 1].

    The samples are those that a packed corpus has of the file, 16-bit steps included, so that an
    embedding does not depend on which of the two it was made from.

    Raises:
        AudioError: if it cannot be decoded or is no usable speech.
    """
    return decode(path, resample=True).samples.astype(np.float32) / 32768


def is_silent(samples: Int16[np.ndarray, " samples"]) -> bool:
    """Return whether the peak is below a thousandth of full scale."""
    return bool(samples.max(initial=0) < _SILENT_PEAK and samples.min(initial=0) > -_SILENT_PEAK)


def is_clipped(samples: Int16[np.ndarray, " samples"]) -> bool:
    """Return whether more than a thousandth of the samples are at full scale."""
    return bool((np.abs(samples.astype(np.int32)) >= 32767).mean() > _CLIPPED_FRACTION)


def seconds(path: Path) -> float:
    """Return the length of a file in seconds: from its header, or decoded where that has none."""
    with open_audio(path) as file:
        if not isinstance(file, CompressedFile):
            return float(file.frames / file.samplerate)
        if file.seconds is not None:
            return file.seconds
        return len(read_mono(path, file)) / file.samplerate


def in_parallel(function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
    """Map a function over items by a thread of each core, in order, a few items ahead."""
    threads = usable_cores()
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                # All at once would hold every result that nobody has read yet.
                if len(waiting) >= _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _to_int16(waveform: Float32[np.ndarray, " samples"]) -> Decoded:
    peak = max(1.0, float(np.abs(waveform).max(initial=0.0)))
    samples = np.clip(np.rint(waveform * (32768.0 / peak)), -32768, 32767).astype(np.int16)
    return Decoded(samples, peak)


def resample(
    waveform: Float32[np.ndarray, " samples"], rate: int
) -> Float32[np.ndarray, " resampled"]:
    """Return a waveform of another rate at 16 kHz, band-limited.

    Raises:
        AudioError: if the rate is below 4 kHz or above 400 kHz: no rate that speech is stored at.
    """
    if not 4000 <= rate <= 400_000:
        raise AudioError(f"a sample rate of {rate} Hz is none that speech is stored at")
    return _resample(waveform, rate)


def _resample(
    waveform: Float32[np.ndarray, " samples"], rate: int
) -> Float32[np.ndarray, " resampled"]:
    # Not above: a process that packs 16 kHz files does without these two.
    import torch
    import torchaudio.functional

    resampled = torchaudio.functional.resample(torch.from_numpy(waveform), rate, SAMPLE_RATE)
    return np.asarray(resampled.numpy())
