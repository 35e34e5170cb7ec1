"""Decode the audio that libsndfile does not read, such as m4a, through PyAV (FFmpeg's libraries).

The files are not trusted. Only formats that are one file of audio or video are opened: a playlist,
which names other files or hosts, is refused whatever its name is.
"""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_FORMATS = (
    "mov,matroska,webm,aac,ac3,eac3,mp3,ogg,asf,amr,amrnb,amrwb,nistsphere,caf,tta,wv,ape,mpc,mpc8,"
    "rm,shn,wav,aiff,au,w64,avi,flv,mpegts,voc,gsm,loas"
)
_WITHOUT_LENGTH = frozenset(
    ["aac", "ac3", "eac3", "mp3", "amr", "amrnb", "amrwb", "gsm", "loas", "mpegts", "ogg"]
)
"""Formats whose length is not in a header but estimated."""

_MISSING_SECONDS = 0.25
"""A file that ends so much before its header says is still whole: encoders count padding in
different ways."""


class CompressedAudioError(ValueError):
    """A file that cannot be decoded; says why, without its path."""

    def __init__(self, problem: str, kind: str = "unreadable") -> None:
        super().__init__(problem)
        self.kind = kind
        """Which group of problems a check puts it into."""


class DecoderMissingError(ValueError):
    """PyAV is not installed; says how to install it."""


@dataclass(frozen=True)
class CompressedFile:
    """An open file of audio, mixed down to one channel when it is read.

    The samples that an encoder put in front (priming) are left out where the file says how many
    they are, and so are those that fill up its last packet. Everything else that is decoded stays.
    """

    samplerate: int
    """Of the first decoded frame: a header may name half of it (HE-AAC)."""
    channels: int
    format: str
    subtype: str
    seconds: float | None
    """By its header; None for a format without a length."""
    _first: "AudioFrame"
    _others: Iterator["AudioFrame"]

    def read_mono(self, most_samples: int) -> Float32[np.ndarray, " samples"]:
        """Decode the file, once; channels are averaged.

        Args:
            most_samples: at the file's own rate.

        Raises:
            CompressedAudioError: for damage, a missing end, more samples than accepted, or a rate
                that changes.
        """
        parts = [_mix_down(self._first)]
        samples = len(parts[0])
        for frame in self._others:
            if frame.sample_rate != self.samplerate:
                raise CompressedAudioError(
                    f"its rate changes from {self.samplerate} to {frame.sample_rate} Hz at "
                    f"{samples / self.samplerate:.2f} s"
                )
            parts.append(_mix_down(frame))
            samples += len(parts[-1])
            if samples > most_samples:
                raise CompressedAudioError(
                    f"more than {most_samples} samples, which is all that is accepted of it"
                )
        waveform = np.concatenate(parts)
        if self.seconds is None:
            return waveform
        declared = round(self.seconds * self.samplerate)
        if samples < declared - _MISSING_SECONDS * self.samplerate:
            raise CompressedAudioError(
                f"cut short, {samples} of {declared} samples are there", "cut_short"
            )
        # No packet is longer than the first one: what is beyond the length fills up the last.
        is_filled = samples - declared <= self._first.samples
        return waveform[:declared] if is_filled else waveform


@contextmanager
def open_compressed(path: Path) -> Iterator[CompressedFile]:
    """Open a file that PyAV reads, and decode its first frame.

    Raises:
        CompressedAudioError: if there is no audio in it that can be decoded.
        DecoderMissingError: if PyAV is not installed.
        OSError: if the file cannot be opened.
    """
    try:
        import av
    except ImportError as error:
        raise DecoderMissingError(
            "libsndfile does not read this format, and PyAV, which may, cannot be imported "
            f"({error}): pip install av"
        ) from error
    with ExitStack() as stack:
        # A file and not its path: FFmpeg would take a path such as "http:x" for an address.
        file = stack.enter_context(_File(path, "rb"))
        try:
            container = av.open(file, mode="r", options={"format_whitelist": _FORMATS})
            stack.enter_context(container)
            if not container.streams.audio:
                raise CompressedAudioError(f"a {container.format.name} file without audio in it")
            stream = container.streams.audio[0]
            frames = _decode_frames(container, stream)
            first = next(frames)
        except StopIteration:
            raise CompressedAudioError("no audio comes out of it") from None
        except (av.FFmpegError, ValueError, OSError) as error:
            raise _translate(error) from error
        yield CompressedFile(
            samplerate=first.sample_rate,
            channels=first.layout.nb_channels,
            format=container.format.name.partition(",")[0],
            subtype=stream.codec_context.name,
            seconds=_declared_seconds(container, stream),
            _first=first,
            _others=frames,
        )


class _File(io.FileIO):
    """A file in which a place that cannot be sought is an answer, and no exception.

    PyAV cannot pass an exception on through FFmpeg, and prints it.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Seek; return -1 for a place before the beginning, as a damaged header names one."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


def _decode_frames(container: "InputContainer", stream: "AudioStream") -> Iterator["AudioFrame"]:
    import av

    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise CompressedAudioError("cut short or damaged, a packet of it is not whole")
            yield from packet.decode()
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _translate(error) from error


def _declared_seconds(container: "InputContainer", stream: "AudioStream") -> float | None:
    if not _WITHOUT_LENGTH.isdisjoint(container.format.name.split(",")):
        return None
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = float(Fraction(container.duration, 1_000_000))
    else:
        return None
    # A recording that was written as it came has no length in its header.
    return seconds if seconds > 0 else None


def _mix_down(frame: "AudioFrame") -> Float32[np.ndarray, " samples"]:
    """Return the mean of a frame's channels, full scale being 1."""
    values: np.ndarray = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif np.issubdtype(values.dtype, np.signedinteger):
        # In double precision: 32-bit integers have more digits than a float32.
        values = values / 2.0 ** (8 * values.itemsize - 1)
    waveform = values[0] if len(values) == 1 else values.mean(axis=0)
    return np.asarray(waveform, dtype=np.float32)


def _translate(error: Exception) -> CompressedAudioError:
    if isinstance(error, CompressedAudioError):
        return error
    text = getattr(error, "strerror", None) or str(error)
    return CompressedAudioError(f"FFmpeg: {text}")
