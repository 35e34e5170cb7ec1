"""A process that decodes chunks and writes their samples.

It is told what to do over a socket, and ends when the other end is closed: when the process that
packs has ended, in whatever way.
"""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from spkmodel.data.packing.decoding import Chunk, DecodedChunk, decode_chunk
from spkmodel.data.packing.parts import Piece, write_piece


@dataclass(frozen=True)
class Setting:
    """What a worker is told first."""

    corpus: Path
    store: Path
    """The folder of the unfinished store."""
    resample: bool


@dataclass(frozen=True)
class WriteOrder:
    """Where the samples of a decoded chunk go."""

    first: int
    """Row of the chunk's first file."""
    pieces: list[Piece]


@dataclass(frozen=True)
class Written:
    """The samples of a chunk are in their places."""

    first: int


Order = Chunk | WriteOrder
Answer = DecodedChunk | Written | OSError


class Hands:
    """Decodes chunks and holds their samples until it is told where they go."""

    def __init__(self, setting: Setting, at: int = -1) -> None:
        self._setting = setting
        self._at = at
        self._held: dict[int, list[np.ndarray]] = {}

    def carry_out(self, order: Order) -> Answer:
        """Decode a chunk, or write one; a failure of the disk is returned."""
        if isinstance(order, Chunk):
            setting = self._setting
            decoded, waveforms = decode_chunk(
                setting.corpus, order, setting.resample, self._begin_file
            )
            self._held[order.first] = waveforms
            return decoded
        waveforms = self._held.pop(order.first)
        try:
            done = 0
            for piece in order.pieces:
                write_piece(self._setting.store, piece, waveforms[done : done + piece.utterances])
                done += piece.utterances
        except OSError as error:
            return OSError(error.errno, error.strerror, str(self._setting.store))
        return Written(order.first)

    def _begin_file(self, row: int) -> None:
        # Where a decoder ends this process, the other one reads here which file it was.
        if self._at >= 0:
            os.pwrite(self._at, row.to_bytes(8, "little"), 0)


def main(socket: int, at: int) -> None:
    """Carry out what comes over a socket until it is closed.

    Args:
        socket: its descriptor.
        at: descriptor of a file, into which the row is written before it is decoded.
    """
    with Connection(socket) as connection:
        try:
            hands = Hands(connection.recv(), at)
            while True:
                connection.send(hands.carry_out(connection.recv()))
        except (EOFError, ConnectionError):
            pass
