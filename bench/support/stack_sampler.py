"""Sample a thread's stack now and then, and count where its time goes."""

import linecache
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import CodeType, FrameType

_EVERY_SECONDS = 0.005

Part = tuple[str, str]
"""A name, and what a file's path holds, or `FSYNC`."""

FSYNC = "fsync"
"""Lines that wait for the disk, wherever they stand."""


@contextmanager
def shares(parts: Sequence[Part], otherwise: str) -> Iterator[Counter[str]]:
    """Count samples of the main thread by part; complete after the context.

    The innermost frame that belongs to a part decides; of several parts the first.
    """
    counts: Counter[str] = Counter()

    @cache
    def part_of(code: CodeType, line: int | None) -> str:
        is_fsync = bool(line) and FSYNC in code.co_names and FSYNC in _text(code, line)
        for name, piece in parts:
            if piece in code.co_filename or (piece == FSYNC and is_fsync):
                return name
        return ""

    def take_sample(number: int, frame: FrameType | None) -> None:
        del number
        found = ""
        while frame is not None and not found:
            found, frame = part_of(frame.f_code, frame.f_lineno), frame.f_back
        counts[found or otherwise] += 1

    before = signal.signal(signal.SIGALRM, take_sample)
    signal.setitimer(signal.ITIMER_REAL, _EVERY_SECONDS, _EVERY_SECONDS)
    try:
        yield counts
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _text(code: CodeType, line: int | None) -> str:
    return linecache.getline(code.co_filename, line or 0)
