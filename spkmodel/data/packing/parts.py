"""Where each utterance lies in the audio of a store, which is one file or several parts."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spkmodel.data.store import part_name

PART_SAMPLES = 1 << 29
"""At most so many samples are in a part: 1 GiB."""
_BUFFERS = 512
"""Written in one call; systems take at least 1,024."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive utterances of one part."""

    part: int
    start: int
    """In samples from the beginning of the part."""
    utterances: int


class Placement:
    """Places utterances one after the other; a part is closed by the first that it has no room for.

    The places depend on nothing but the lengths: not on how many processes decode, nor on what was
    packed in an earlier call.
    """

    def __init__(self) -> None:
        self.filled: list[int] = [0]
        """Samples of each part."""

    def place(self, lengths: Iterable[int]) -> list[Piece]:
        """Place utterances of some lengths, in samples; one without samples takes no room."""
        pieces: list[Piece] = []
        first = self.filled[-1]
        count = 0
        for length in lengths:
            if self.filled[-1] and self.filled[-1] + length > PART_SAMPLES:
                if count:
                    pieces.append(Piece(len(self.filled) - 1, first, count))
                self.filled.append(0)
                first = count = 0
            self.filled[-1] += length
            count += 1
        if count:
            pieces.append(Piece(len(self.filled) - 1, first, count))
        return pieces


def write_piece(folder: Path, piece: Piece, waveforms: Sequence[np.ndarray]) -> None:
    """Write utterances to their places in a part, in as few calls as the system allows."""
    descriptor = os.open(folder / part_name(piece.part), os.O_WRONLY | os.O_CREAT, 0o666)
    left = [np.ascontiguousarray(each, dtype="<i2").view(np.uint8) for each in waveforms]
    at = 2 * piece.start
    try:
        while left:
            written = os.pwritev(descriptor, [each.data for each in left[:_BUFFERS]], at)
            at += written
            # A full disk or a signal may end a call in the middle of an utterance.
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
    finally:
        os.close(descriptor)


def cut_parts(folder: Path, filled: Sequence[int]) -> None:
    """Cut the parts of a folder to some numbers of samples, and remove those behind them."""
    for number, samples in enumerate(filled):
        path = folder / part_name(number)
        if path.exists():
            os.truncate(path, 2 * samples)
    number = len(filled)
    while (path := folder / part_name(number)).exists():
        path.unlink()
        number += 1


def samples_on_disk(folder: Path) -> list[int]:
    """Return how many samples each part of a folder has."""
    found: list[int] = []
    while (path := folder / part_name(len(found))).exists():
        found.append(path.stat().st_size // 2)
    return found
