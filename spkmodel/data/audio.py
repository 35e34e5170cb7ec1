"""Read audio files as int16 waveforms; the files are not trusted.

What a header claims is bounded before anything is allocated for it.
"""

import math
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Float32, Int16

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.wav_header import PatchedFile, find_data_chunk

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
_MOST_WEIGHTS = 5_000_000
"""Of the resampling filter: about the product of its two rates, reduced."""
_PACK = "`spksearch corpus pack DIR --resample` converts it"

_DATA_CUT = re.compile(r"data : (\d+) \(should be (\d+)\)")
_NO_LENGTH = 2**63 - 1
"""What libsndfile reports for a FLAC file whose writer could not seek back."""

_SILENT_PEAK = 33
_CLIPPED_FRACTION = 0.001

In = TypeVar("In")
Out = TypeVar("Out")


class AudioError(ValueError):
    """A file that is not usable speech; says which, what it is and what would be right."""

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message)
        self.kind = kind
        """Which group of problems a check puts it into."""


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


def decode(path: Path, resample: bool = False) -> Decoded:
    """Read a file as 16 kHz mono, bit for bit if it is 16-bit integers in this form already.

    Samples above full scale, which only files of floats and lossy formats have, are never clipped:
    the file is divided by its largest sample.

    Args:
        path: of the file.
        resample: convert another form: channels are averaged, then resampled band-limited.

    Raises:
        AudioError: if it cannot be decoded or is no usable speech, or has another form.
    """
    with _opened(path) as file:
        if (file.samplerate, file.channels) == (SAMPLE_RATE, 1):
            if file.subtype == "PCM_16":
                samples = file.read(frames=file.frames, dtype="int16")
                return Decoded(_finished(path, file, samples), 1.0)
            return _to_int16(_floats(path, file)[:, 0])
        if not resample:
            raise AudioError(
                f"{quote_path(path)}: {_form(file)}; the store takes {SAMPLE_RATE} Hz mono; "
                f"{_PACK}",
                kind="other_form",
            )
        _require_resamplable(path, file)
        rate, waveform = file.samplerate, _floats(path, file).mean(axis=1)
    resampled = torchaudio.functional.resample(torch.from_numpy(waveform), rate, SAMPLE_RATE)
    return _to_int16(resampled.numpy())


def is_silent(samples: Int16[np.ndarray, " samples"]) -> bool:
    """Return whether the peak is below a thousandth of full scale."""
    return bool(np.abs(samples.astype(np.int32)).max(initial=0) < _SILENT_PEAK)


def is_clipped(samples: Int16[np.ndarray, " samples"]) -> bool:
    """Return whether more than a thousandth of the samples are at full scale."""
    return bool((np.abs(samples.astype(np.int32)) >= 32767).mean() > _CLIPPED_FRACTION)


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
            raise AudioError(
                f"{quote_path(path)}: not a regular file; an utterance is a WAV, FLAC or Ogg file"
            )
        with _open_whole(path) as source, soundfile.SoundFile(source) as file:
            _require_possible(path, file, found.st_size)
            yield file
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(
            f"{quote_path(path)}: cannot be decoded ({error}); damaged, cut short or not "
            "audio: restore it or take it off the lists"
        ) from error


@contextmanager
def _open_whole(path: Path) -> Iterator[Path | PatchedFile]:
    """Yield the file, its length filled in where its writer could not seek back to do so."""
    data = find_data_chunk(path)
    if data is not None and data.is_cut:
        raise _cut_short(path, data.present_bytes, data.claimed_bytes, "bytes of audio")
    if data is None or not data.is_placeholder:
        yield path
        return
    with PatchedFile(path, [data.patch]) as file:
        yield file


def _require_possible(path: Path, file: soundfile.SoundFile, size: int) -> None:
    longest = min(
        _LONGEST_SECONDS * file.samplerate,
        max(_HARMLESS_SECONDS * file.samplerate, _FRAMES_A_BYTE * size),
    )
    if file.frames == _NO_LENGTH:
        raise AudioError(
            f"{quote_path(path)}: its header has no length, as of a file that was written to a "
            f"pipe; write it anew: {_rewriting_command(path)}",
            kind="no_length",
        )
    if file.frames > longest:
        raise AudioError(
            f"{quote_path(path)}: the header claims {file.frames} frames in {size} bytes, at most "
            f"{longest} are accepted; write the file anew, or cut it into utterances"
        )
    cut = _DATA_CUT.search(file.extra_info)
    if cut:
        raise _cut_short(path, int(cut[2]), int(cut[1]), "bytes of audio")
    if file.frames < SHORTEST_SECONDS * file.samplerate:
        raise AudioError(
            f"{quote_path(path)}: {file.frames} frames ({_form(file)}) are too few; an utterance "
            f"lasts at least {SHORTEST_SECONDS} s; take it off the lists"
        )


def _require_resamplable(path: Path, file: soundfile.SoundFile) -> None:
    low, high = _RESAMPLED_RATES_HZ
    if not low <= file.samplerate <= high or file.channels > _MOST_CHANNELS:
        raise AudioError(
            f"{quote_path(path)}: {_form(file)}; resampling takes {low} to {high} Hz and up to "
            f"{_MOST_CHANNELS} channels"
        )
    ratio = math.lcm(file.samplerate, SAMPLE_RATE) ** 2 // (file.samplerate * SAMPLE_RATE)
    if ratio > _MOST_WEIGHTS:
        raise AudioError(
            f"{quote_path(path)}: {_form(file)}; the ratio of this rate to {SAMPLE_RATE} Hz is not "
            f"one of small integers; convert it: {_rewriting_command(path, '-ar 16000 ')}",
            kind="other_form",
        )


def _floats(path: Path, file: soundfile.SoundFile) -> Float32[np.ndarray, "samples channels"]:
    # Integers read from a float file come unscaled and hide a NaN, hence floats here.
    waveform = _finished(path, file, file.read(frames=file.frames, dtype="float32", always_2d=True))
    bad = int(waveform.size - np.isfinite(waveform).sum())
    if bad:
        raise AudioError(
            f"{quote_path(path)}: {bad} of {waveform.size} values are NaN or infinite; write the "
            "file anew or take it off the lists"
        )
    return waveform


def _finished(path: Path, file: soundfile.SoundFile, waveform: np.ndarray) -> np.ndarray:
    if len(waveform) != file.frames:
        raise _cut_short(path, len(waveform), file.frames, "frames")
    return waveform


def _cut_short(path: Path, present: int, claimed: int, what: str) -> AudioError:
    return AudioError(
        f"{quote_path(path)}: cut short, {present} of {claimed} {what} are there; restore it or "
        "take it off the lists",
        kind="cut_short",
    )


def _rewriting_command(path: Path, options: str = "") -> str:
    # Moved last, so that nothing is lost where ffmpeg fails.
    new = path.with_name(f"{path.stem}.new{path.suffix}")
    return (
        f"ffmpeg -nostdin -i {quote_path(path)} {options}{quote_path(new)} && "
        f"mv {quote_path(new)} {quote_path(path)}"
    )


def _to_int16(waveform: Float32[np.ndarray, " samples"]) -> Decoded:
    peak = max(1.0, float(np.abs(waveform).max(initial=0.0)))
    samples = np.clip(np.rint(waveform * (32768.0 / peak)), -32768, 32767).astype(np.int16)
    return Decoded(samples, peak)


def _form(file: soundfile.SoundFile) -> str:
    channels = "mono" if file.channels == 1 else f"{file.channels} channels"
    return f"{file.samplerate} Hz, {channels}, {file.format} {file.subtype}"
