"""Read the length of an MP3 file from the header that most encoders put into its first frame.

The decoder of libsndfile takes a torn file for a shorter one; this header tells them apart.
"""

import struct
from dataclasses import dataclass
from io import SEEK_END, RawIOBase

_SEARCHED_BYTES = 512
_HAS_FRAMES, _HAS_BYTES = 1, 2


@dataclass(frozen=True, slots=True)
class Mp3Length:
    """How long an MP3 file is and should be."""

    claimed_bytes: int
    present_bytes: int

    @property
    def is_cut(self) -> bool:
        """Whether bytes are missing that the header counts."""
        return self.present_bytes < self.claimed_bytes


def find_mp3_length(file: RawIOBase) -> Mp3Length | None:
    """Return the length of an MP3 file; None for another file, or one without such a header.

    Raises:
        OSError: if the file cannot be read.
    """
    file.seek(0)
    head = file.read(10) or b""
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        # Four bytes of seven bits each; the length does not count these ten bytes.
        high, upper, lower, low = head[6:]
        start = 10 + (high << 21 | upper << 14 | lower << 7 | low)
    elif not _is_frame(head):
        return None
    file.seek(start)
    frame = file.read(_SEARCHED_BYTES) or b""
    if not _is_frame(frame):
        return None
    # The place depends on version and channels: 9 to 32 bytes of side information come before.
    at = next((at for name in (b"Xing", b"Info") if (at := frame.find(name, 4, 48)) > 0), None)
    if at is None:
        return None
    (flags,) = struct.unpack(">I", frame[at + 4 : at + 8].rjust(4, b"\0"))
    if not flags & _HAS_BYTES:
        return None
    place = at + 8 + (4 if flags & _HAS_FRAMES else 0)
    (claimed,) = struct.unpack(">I", frame[place : place + 4].rjust(4, b"\0"))
    return Mp3Length(claimed, file.seek(0, SEEK_END) - start)


def _is_frame(data: bytes) -> bool:
    """Return whether data begins as a frame of layer 3 does."""
    return len(data) > 4 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2
