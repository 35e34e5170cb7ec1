"""Open audio files that are not trusted, and read their samples as floats.

What a header claims is bounded before anything is allocated for it.
"""

import math
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import soundfile
from jaxtyping import Float32

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.compressed_audio import (
    CompressedAudioError,
    CompressedFile,
    DecoderMissingError,
    open_compressed,
)
from spkmodel.data.formats.mp3_header import find_mp3_length
from spkmodel.data.formats.wav_header import PatchedFile, find_data_chunk

SAMPLE_RATE = 16_000
SHORTEST_SECONDS = 0.1
"""Less than this is no utterance: some encoder would be left without a frame."""

_LONGEST_SECONDS = 3600
_HARMLESS_SECONDS = 60
"""Let through whatever the size of the file: silence packs tighter than `_FRAMES_A_BYTE`."""
_FRAMES_A_BYTE = 64
_FRAMES_A_BLOCK = 1 << 18
_HASHED_BYTES = 1 << 20

_RESAMPLED_RATES_HZ = (4_000, 192_000)
_MOST_CHANNELS = 16
_MOST_WEIGHTS = 5_000_000
"""Of the resampling filter: about the product of its two rates, reduced."""

_UNKNOWN_FORMAT, _UNKNOWN_ENCODING = 1, 4
"""Error codes of libsndfile."""

_DATA_CUT = re.compile(r"data : (\d+) \(should be (\d+)\)")
_NO_LENGTH = 2**63 - 1
"""What libsndfile reports for a FLAC file whose writer could not seek back."""

AudioFile: TypeAlias = soundfile.SoundFile | CompressedFile


@runtime_checkable
class Digest(Protocol):
    """What a hash of `hashlib` is."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...


class AudioError(ValueError):
    """A file that is not usable speech; says which, what it is and what would be right."""

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message)
        self.kind = kind
        """Which group of problems a check puts it into."""


@contextmanager
def open_audio(path: Path, digest: Digest | None = None) -> Iterator[AudioFile]:
    """Open a file, check that its header is plausible, and name the file in decoder errors.

    Args:
        path: of the file.
        digest: updated with all bytes of the file.

    Raises:
        AudioError: if it cannot be decoded, also while the context lasts, or is no usable speech.
    """
    try:
        found = path.stat()
        # Opening a pipe would wait for ever.
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(
                f"{quote_path(path)}: not a regular file; an utterance is an audio file"
            )
        with ExitStack() as stack:
            # Opened once: where files lie on another machine, each opening costs a round trip.
            raw = stack.enter_context(path.open("rb", buffering=0))
            if digest is not None:
                _update(digest, raw)
            source = stack.enter_context(_open_whole(path, raw))
            file = stack.enter_context(_open_by_either(path, raw, source))
            if not isinstance(file, CompressedFile):
                _require_possible(path, file, found.st_size)
            yield file
    except DecoderMissingError as error:
        raise AudioError(f"{quote_path(path)}: {error}", kind="no_decoder") from error
    except CompressedAudioError as error:
        raise AudioError(
            f"{quote_path(path)}: cannot be decoded ({error}); damaged, cut short or not audio: "
            "restore it or take it off the lists",
            kind=error.kind,
        ) from error
    except (soundfile.SoundFileError, OSError) as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        raise AudioError(
            f"{quote_path(path)}: cannot be decoded ({reason}); damaged, cut short or not "
            "audio: restore it or take it off the lists"
        ) from error


@contextmanager
def _open_by_either(path: Path, raw: FileIO, source: int | PatchedFile) -> Iterator[AudioFile]:
    """Open a file by libsndfile, or by PyAV where that does not know its format or encoding."""
    with ExitStack() as stack:
        file: AudioFile
        try:
            file = stack.enter_context(soundfile.SoundFile(source, closefd=False))
        except soundfile.LibsndfileError as error:
            # A damaged file of a known format is an error here: FFmpeg would pass over damage.
            if error.code not in (_UNKNOWN_FORMAT, _UNKNOWN_ENCODING) and not _is_sphere(raw):
                raise
            file = stack.enter_context(open_compressed(path))
        yield file


@contextmanager
def _open_whole(path: Path, raw: FileIO) -> Iterator[int | PatchedFile]:
    """Yield the file, its length filled in where its writer could not seek back to do so."""
    mp3 = find_mp3_length(raw)
    if mp3 is not None and mp3.is_cut:
        raise _cut_short(path, mp3.present_bytes, mp3.claimed_bytes, "bytes of audio")
    data = find_data_chunk(raw)
    if data is not None and data.is_cut:
        raise _cut_short(path, data.present_bytes, data.claimed_bytes, "bytes of audio")
    if data is None or not data.is_placeholder:
        raw.seek(0)
        yield raw.fileno()
        return
    with PatchedFile(path, [data.patch]) as file:
        yield file


def _is_sphere(raw: FileIO) -> bool:
    """Return whether a file has the header of NIST's Sphere; its shortened form is PyAV's."""
    raw.seek(0)
    return raw.read(8) == b"NIST_1A\n"


def _update(digest: Digest, raw: FileIO) -> None:
    while block := raw.read(_HASHED_BYTES):
        digest.update(block)


def _most_samples(rate: int, size: int) -> int:
    return min(_LONGEST_SECONDS * rate, max(_HARMLESS_SECONDS * rate, _FRAMES_A_BYTE * size))


def _require_possible(path: Path, file: soundfile.SoundFile, size: int) -> None:
    longest = _most_samples(file.samplerate, size)
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
    _require_enough(path, file, file.frames)


def _require_enough(path: Path, file: AudioFile, samples: int) -> None:
    if samples < SHORTEST_SECONDS * file.samplerate:
        raise AudioError(
            f"{quote_path(path)}: {samples} frames ({describe_form(file)}) are too few; an "
            f"utterance lasts at least {SHORTEST_SECONDS} s; take it off the lists"
        )


def require_resamplable(path: Path, file: AudioFile) -> None:
    """Raise AudioError for a rate or a number of channels that no recording of speech has."""
    low, high = _RESAMPLED_RATES_HZ
    if not low <= file.samplerate <= high or file.channels > _MOST_CHANNELS:
        raise AudioError(
            f"{quote_path(path)}: {describe_form(file)}; resampling takes {low} to {high} Hz and "
            f"up to {_MOST_CHANNELS} channels"
        )
    ratio = math.lcm(file.samplerate, SAMPLE_RATE) ** 2 // (file.samplerate * SAMPLE_RATE)
    if ratio > _MOST_WEIGHTS:
        raise AudioError(
            f"{quote_path(path)}: {describe_form(file)}; the ratio of this rate to {SAMPLE_RATE} "
            "Hz is not one of small integers; convert it: "
            f"{_rewriting_command(path, '-ar 16000 ')}",
            kind="other_form",
        )


def read_mono(path: Path, file: AudioFile) -> Float32[np.ndarray, " samples"]:
    """Read the whole file at its own rate; channels are averaged.

    Raises:
        AudioError: for a cut or too short file, or values that are not finite.
    """
    if isinstance(file, CompressedFile):
        waveform = file.read_mono(_most_samples(file.samplerate, path.stat().st_size))
        _require_enough(path, file, len(waveform))
    else:
        # Integers read from a float file come unscaled and hide a NaN, hence floats here. By
        # blocks, since all channels together take many times what is kept.
        blocks = file.blocks(_FRAMES_A_BLOCK, dtype="float32", always_2d=True)
        parts = [each[:, 0] if file.channels == 1 else each.mean(axis=1) for each in blocks]
        waveform = require_whole(path, file, np.concatenate(parts))
    bad = int(waveform.size - np.isfinite(waveform).sum())
    if bad:
        raise AudioError(
            f"{quote_path(path)}: {bad} of {waveform.size} values are NaN or infinite; write the "
            "file anew or take it off the lists"
        )
    return waveform


def require_whole(path: Path, file: soundfile.SoundFile, waveform: np.ndarray) -> np.ndarray:
    """Return the waveform that was read from a file; raise AudioError if its end is missing."""
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


def describe_form(file: AudioFile) -> str:
    """Return rate, channels and format of a file, for messages."""
    channels = "mono" if file.channels == 1 else f"{file.channels} channels"
    return f"{file.samplerate} Hz, {channels}, {file.format} {file.subtype}"
