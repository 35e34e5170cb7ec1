"""Find the samples of a WAV, RF64 or W64 file whose header may have no true length.

A writer that cannot seek back, such as one that writes to a pipe, leaves a placeholder as the
length. The samples then reach to the end of the file. A true length beyond the end of the file
means that the file was cut.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_MOST_CHUNKS = 1000

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_W64_HEADER = 24

# What writers leave, less the size of a header where they count it in: SoX 7FFFF000 and
# 7FFFFFFF - 36, arecord 80000000, FFmpeg FFFFFFFF, GStreamer 0. A header has at most this size.
_HEADER_BYTES = 256
_PLACEHOLDERS = (
    (0x7FFF_F000 - _HEADER_BYTES, 0x7FFF_F000),
    (0x7FFF_FFFF - _HEADER_BYTES, 0x8000_0000),
    (0xFFFF_FFFF - _HEADER_BYTES, 0xFFFF_FFFF),
    (2**63 - 1 - _HEADER_BYTES, 2**64 - 1),
)


@dataclass(frozen=True, slots=True)
class DataChunk:
    """The chunk of a file that has its samples."""

    claimed_bytes: int
    """Length of the samples by the header."""
    present_bytes: int
    """What is behind the header, to the end of the file."""
    is_placeholder: bool
    """The claimed length was never filled in: the samples reach to the end of the file."""
    patch: tuple[int, bytes]
    """Place of the length in the file, and the length that is there in truth."""

    @property
    def is_cut(self) -> bool:
        """Whether samples are missing that the header counts."""
        return self.claimed_bytes > self.present_bytes and not self.is_placeholder


def find_data_chunk(file: io.RawIOBase) -> DataChunk | None:
    """Return the chunk with the samples; None if the file is no WAV, RF64 or W64 that has one.

    Raises:
        OSError: if the file cannot be read.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(40) or b""
    if head[:16] == _W64_RIFF:
        return _find_in_w64(file, size)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _find_in_wav(file, size, ">" if head[:4] == b"RIFX" else "<")
    return None


def _find_in_wav(file: io.RawIOBase, size: int, order: Literal["<", ">"]) -> DataChunk | None:
    long_length_at = long_length = None
    at = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        header = file.read(8) or b""
        if len(header) < 8:
            return None
        name, length = struct.unpack(f"{order}4sI", header)
        start = at + 8
        if name == b"ds64":
            long_length_at = at + 16
            file.seek(long_length_at)
            (long_length,) = struct.unpack("<Q", (file.read(8) or b"").ljust(8, b"\0"))
        if name == b"data":
            # In RF64, FFFFFFFF says that the length is in the chunk ds64.
            if long_length_at is not None and long_length is not None and length == 0xFFFF_FFFF:
                return _chunk(file, start, size, long_length, long_length_at, "<Q")
            return _chunk(file, start, size, length, at + 4, f"{order}I")
        at = start + length + length % 2
    return None


def _find_in_w64(file: io.RawIOBase, size: int) -> DataChunk | None:
    at = 40
    for _ in range(_MOST_CHUNKS):
        # A damaged length may exceed what can be sought.
        file.seek(min(at, size))
        header = file.read(_W64_HEADER) or b""
        if len(header) < _W64_HEADER:
            return None
        name, length = struct.unpack("<16sQ", header)
        if name == b"data" + _W64_TAIL:
            # The length counts the chunk's own header.
            claimed = max(0, length - _W64_HEADER)
            return _chunk(file, at + _W64_HEADER, size, claimed, at + 16, "<Q", _W64_HEADER)
        if length < _W64_HEADER:
            return None
        at += (length + 7) // 8 * 8
    return None


def _chunk(
    file: io.RawIOBase, start: int, size: int, claimed: int, place: int, form: str, own: int = 0
) -> DataChunk:
    present = size - start
    most = 2 ** (8 * struct.calcsize(form)) - 1
    if claimed == 0:
        is_placeholder = present > 0 and not (own == 0 and _are_chunks(file, start, size))
    else:
        is_placeholder = claimed > present and any(
            low <= claimed <= high for low, high in _PLACEHOLDERS
        )
    return DataChunk(
        claimed_bytes=claimed,
        present_bytes=present,
        is_placeholder=is_placeholder,
        patch=(place, struct.pack(form, min(present + own, most))),
    )


def _are_chunks(file: io.RawIOBase, at: int, size: int) -> bool:
    """Return whether what follows are whole chunks up to the end, so that 0 is a true length."""
    for _ in range(_MOST_CHUNKS):
        if at in (size, size + 1):
            return True
        file.seek(at)
        header = file.read(8) or b""
        if len(header) < 8 or not header[:4].isascii() or not header[:4].decode().isprintable():
            return False
        at += 8 + struct.unpack("<I", header[4:])[0]
        at += at % 2
    return False


class PatchedFile(io.FileIO):
    """A file that reads as if some of its bytes were others."""

    def __init__(self, path: Path, patches: Sequence[tuple[int, bytes]]) -> None:
        super().__init__(path, "rb")
        self._patches = patches

    def readinto(self, buffer: Any) -> int:
        """Read bytes into the buffer, the patched ones in place of the file's."""
        start = self.tell()
        view = memoryview(buffer).cast("B")
        count = super().readinto(view) or 0
        for at, new in self._patches:
            low, high = max(at, start), min(at + len(new), start + count)
            if low < high:
                view[low - start : high - start] = new[low - at : high - at]
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Seek; a place that a damaged header names, and that cannot be sought, changes nothing."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return self.tell()
