"""Read audio files as int16 waveforms; the files are not trusted.

What a header claims is bounded before anything is allocated for it.
"""

import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Float32, Int16

SAMPLE_RATE = 16_000
SHORTEST_SECONDS = 0.1
"""Less than this is no utterance: some encoder would be left without a frame."""

_LONGEST_SECONDS = 3600
_HARMLESS_SECONDS = 60
"""Let through whatever the size of the file: silence packs tighter than `_FRAMES_A_BYTE`."""
_FRAMES_A_BYTE = 64

_THREADS = 4
_BLOCK = 64

_RESAMPLED_RATES_HZ = (4_000, 192_000)
_MOST_CHANNELS = 16
_PACK = "`spksearch corpus pack DIR --resample` converts it"

_DATA_CUT = re.compile(r"data : (\d+) \(should be (\d+)\)")
_UNKNOWN_LENGTH = 0xFFFF_FFFF
"""What a writer that could not seek back leaves as a WAV's length."""


In = TypeVar("In")
Out = TypeVar("Out")


class AudioError(ValueError):
    """A file that is not usable speech; says which, what it is and what would be right."""


def read(path: Path) -> Int16[np.ndarray, " samples"]:
    """Read a 16 kHz mono file, bit for bit if it is stored as 16-bit integers."""
    with _opened(path) as file:
        if file.samplerate != SAMPLE_RATE or file.channels != 1:
            raise AudioError(
                f"{path}: {_form(file)}; the store takes {SAMPLE_RATE} Hz mono; {_PACK}"
            )
        if file.subtype == "PCM_16":
            return _finished(path, file, file.read(frames=file.frames, dtype="int16"))
        return _to_int16(_floats(path, file)[:, 0])


def read_resampled(path: Path) -> Int16[np.ndarray, " samples"]:
    """Read a file as 16 kHz mono: channels are averaged, then resampled band-limited."""
    with _opened(path) as file:
        rate, channels = file.samplerate, file.channels
        if (rate, channels) != (SAMPLE_RATE, 1):
            _require_resamplable(path, file)
            waveform = _floats(path, file).mean(axis=1)
    if (rate, channels) == (SAMPLE_RATE, 1):
        return read(path)
    resampled = torchaudio.functional.resample(torch.from_numpy(waveform), rate, SAMPLE_RATE)
    return _to_int16(resampled.numpy())


def seconds(path: Path) -> float:
    """Return the length of a file in seconds, from its header."""
    with _opened(path) as file:
        return float(file.frames / file.samplerate)


def in_parallel(function: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
    """Map a function over items by a few threads, in order, at most a block ahead of the reader."""
    with ThreadPoolExecutor(_THREADS) as pool:
        # `map` alone would start them all, and hold every result that nobody has read yet.
        for start in range(0, len(items), _BLOCK):
            yield from pool.map(function, items[start : start + _BLOCK])


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a file, check that its header is plausible, and name the file in decoder errors."""
    try:
        found = path.stat()
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(f"{path}: not a regular file; an utterance is a WAV, FLAC or Ogg file")
        with soundfile.SoundFile(path) as file:
            _require_possible(path, file, found.st_size)
            yield file
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(
            f"{path}: cannot be decoded ({error}); damaged, cut short or not audio: restore it or "
            "take it off the lists"
        ) from error


def _require_possible(path: Path, file: soundfile.SoundFile, size: int) -> None:
    longest = min(
        _LONGEST_SECONDS * file.samplerate,
        max(_HARMLESS_SECONDS * file.samplerate, _FRAMES_A_BYTE * size),
    )
    if file.frames > longest:
        raise AudioError(
            f"{path}: the header claims {file.frames} frames in {size} bytes, at most {longest} "
            "are accepted; write the file anew, or cut it into utterances"
        )
    cut = _DATA_CUT.search(file.extra_info)
    if cut and int(cut[1]) != _UNKNOWN_LENGTH:
        raise AudioError(
            f"{path}: cut short, {cut[2]} of {cut[1]} bytes of audio are there; restore it or take "
            "it off the lists"
        )
    if file.frames < SHORTEST_SECONDS * file.samplerate:
        raise AudioError(
            f"{path}: {file.frames} frames ({_form(file)}) are too few; an utterance lasts at "
            f"least {SHORTEST_SECONDS} s; take it off the lists"
        )


def _require_resamplable(path: Path, file: soundfile.SoundFile) -> None:
    low, high = _RESAMPLED_RATES_HZ
    if not low <= file.samplerate <= high or file.channels > _MOST_CHANNELS:
        raise AudioError(
            f"{path}: {_form(file)}; resampling takes {low} to {high} Hz and up to "
            f"{_MOST_CHANNELS} channels"
        )


def _floats(path: Path, file: soundfile.SoundFile) -> Float32[np.ndarray, "samples channels"]:
    # Integers read from a float file come unscaled and hide a NaN, hence floats here.
    waveform = _finished(path, file, file.read(frames=file.frames, dtype="float32", always_2d=True))
    bad = int(waveform.size - np.isfinite(waveform).sum())
    if bad:
        raise AudioError(
            f"{path}: {bad} of {waveform.size} values are NaN or infinite; write the file anew or "
            "take it off the lists"
        )
    return waveform


def _finished(path: Path, file: soundfile.SoundFile, waveform: np.ndarray) -> np.ndarray:
    if len(waveform) != file.frames:
        raise AudioError(
            f"{path}: cut short, {len(waveform)} of {file.frames} frames are there; restore it or "
            "take it off the lists"
        )
    return waveform


def _to_int16(waveform: Float32[np.ndarray, " samples"]) -> Int16[np.ndarray, " samples"]:
    return np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)


def _form(file: soundfile.SoundFile) -> str:
    channels = "mono" if file.channels == 1 else f"{file.channels} channels"
    return f"{file.samplerate} Hz, {channels}, {file.format} {file.subtype}"
