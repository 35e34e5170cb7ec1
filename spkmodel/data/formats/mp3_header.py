"""Read the length of an MP3 file from the header that most encoders put into its first frame.

The decoder of libsndfile takes a torn file for a shorter one; this header tells them apart.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

_SEARCHED_BYTES = 4096
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


def find_mp3_length(path: Path) -> Mp3Length | None:
    """Return the length of an MP3 file; None for another file, or one without such a header.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            # Four bytes of seven bits each; the length does not count these ten bytes.
            high, upper, lower, low = head[6:]
            start = 10 + (high << 21 | upper << 14 | lower << 7 | low)
        file.seek(start)
        frame = file.read(_SEARCHED_BYTES)
    is_frame = len(frame) > 4 and frame[0] == 0xFF and frame[1] & 0xE6 == 0xE2
    if not is_frame:
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
    return Mp3Length(claimed, size - start)
