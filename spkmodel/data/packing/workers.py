"""Decode the chunks of a corpus by several processes, and keep their results in order."""

import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Protocol

import spkmodel
from spkmodel.core.shell import quote_path
from spkmodel.data.audio import AudioError
from spkmodel.data.packing.decoding import Chunk, DecodedChunk
from spkmodel.data.packing.parts import Placement
from spkmodel.data.packing.worker import Answer, Hands, Order, Setting, WriteOrder, Written

_AHEAD = 3
"""Chunks that a worker has or holds at a time: one that is decoded, one that waits for its place,
and one that is on its way."""


class Worker(Protocol):
    """Whoever carries out orders, in their order."""

    def send(self, order: Order) -> None:
        """Give an order."""
        ...


def pack_chunks(
    setting: Setting,
    chunks: Sequence[Chunk],
    placement: Placement,
    workers: int,
    lock: int = -1,
) -> Generator[DecodedChunk, None, None]:
    """Decode chunks and write them to their places; yield each once it is written, in order.

    Args:
        setting: where things are.
        chunks: consecutive ones.
        placement: of what was packed before; goes on.
        workers: processes; with 1, everything is done in this one.
        lock: a descriptor that the processes keep open until they have ended.

    Raises:
        AudioError: if a file ends the process that decodes it.
        OSError: if the disk fails.
    """
    if workers == 1:
        yield from _pack_here(setting, chunks, placement)
        return
    with ExitStack() as stack:
        pool = [stack.enter_context(_Process(setting, lock)) for _ in range(workers)]
        yield from _Pack(pool, chunks, placement).results()


def _pack_here(
    setting: Setting, chunks: Sequence[Chunk], placement: Placement
) -> Generator[DecodedChunk, None, None]:
    hands = Hands(setting)
    for chunk in chunks:
        decoded = hands.carry_out(chunk)
        assert isinstance(decoded, DecodedChunk)
        answer = hands.carry_out(WriteOrder(chunk.first, placement.place(_lengths(decoded))))
        if isinstance(answer, OSError):
            raise answer
        yield decoded


class _Pack:
    """The chunks on their way through some processes."""

    def __init__(
        self, pool: "Sequence[_Process]", chunks: Sequence[Chunk], placement: Placement
    ) -> None:
        self._pool = pool
        self._chunks = deque(chunks)
        self._placement = placement
        self._in_order: deque[int] = deque()
        """First rows of the chunks that are given out and not yet yielded."""
        self._unplaced: deque[int] = deque()
        self._decoded: dict[int, DecodedChunk] = {}
        self._owner: dict[int, _Process] = {}
        self._written: set[int] = set()

    def results(self) -> Generator[DecodedChunk, None, None]:
        """Yield the chunks in order."""
        for _ in range(_AHEAD):
            for process in self._pool:
                self._give(process)
        while self._in_order:
            ready = wait([each.connection for each in self._pool])
            for process in self._pool:
                if process.connection in ready:
                    self._take(process)
            while self._in_order and self._in_order[0] in self._written:
                first = self._in_order.popleft()
                self._written.remove(first)
                self._give(self._owner.pop(first))
                yield self._decoded.pop(first)

    def _give(self, process: "_Process") -> None:
        if self._chunks:
            chunk = self._chunks.popleft()
            self._in_order.append(chunk.first)
            self._unplaced.append(chunk.first)
            self._owner[chunk.first] = process
            process.send(chunk)

    def _take(self, process: "_Process") -> None:
        answer = process.receive()
        if isinstance(answer, OSError):
            raise answer
        if isinstance(answer, Written):
            self._written.add(answer.first)
            return
        self._decoded[answer.first] = answer
        # A place is known once all that comes before it has its length.
        while self._unplaced and self._unplaced[0] in self._decoded:
            first = self._unplaced.popleft()
            pieces = self._placement.place(_lengths(self._decoded[first]))
            self._owner[first].send(WriteOrder(first, pieces))


class _Process:
    """A process that carries out orders."""

    def __init__(self, setting: Setting, lock: int) -> None:
        self._setting = setting
        self._lock = lock
        self._paths: dict[int, str] = {}

    def __enter__(self) -> "_Process":
        ours, theirs = socket.socketpair()
        # An unlinked file, to which the process writes the row that it is at.
        self._at = tempfile.TemporaryFile()
        inherited = [theirs.fileno(), self._at.fileno(), *([self._lock] if self._lock >= 0 else [])]
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-c"),
                    # Not by -m: what it sends would be of classes of the module __main__.
                    "from spkmodel.data.packing.worker import main; "
                    f"main({theirs.fileno()}, {self._at.fileno()})",
                ],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                # An interrupt from the terminal is for the process that packs alone.
                start_new_session=True,
            )
        self.connection = Connection(ours.detach())
        self.connection.send(self._setting)
        return self

    def __exit__(self, *_: object) -> None:
        # The process ends when it sees that nobody listens.
        self.connection.close()
        self._process.kill()
        self._process.wait()
        self._at.close()

    def send(self, order: Order) -> None:
        """Give an order."""
        if isinstance(order, Chunk):
            self._paths |= dict(enumerate(order.paths, order.first))
        try:
            self.connection.send(order)
        except ConnectionError:
            raise self._death() from None

    def receive(self) -> Answer:
        """Return the next answer.

        Raises:
            AudioError: if the process has ended; names the file that it was at.
        """
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, ConnectionError):
            raise self._death() from None
        if isinstance(answer, DecodedChunk):
            for row in range(answer.first, answer.first + len(answer.records)):
                del self._paths[row]
        return answer

    def _death(self) -> Exception:
        code = self._process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        row = int.from_bytes(os.pread(self._at.fileno(), 8, 0), "little")
        path = self._paths.get(row)
        if path is None:
            return RuntimeError(f"a process that packs has ended ({how})")
        return AudioError(
            f"{quote_path(self._setting.corpus / path)}: the process that decoded it has ended "
            f"({how}), for want of memory or by a fault of the decoder; pack again, or take the "
            "file off the lists"
        )


def _lengths(decoded: DecodedChunk) -> list[int]:
    return [max(0, samples) for samples in decoded.records["samples"].tolist()]


def _environment() -> dict[str, str]:
    """Return the environment of a helping process: it finds this code, and uses one core."""
    root = str(Path(spkmodel.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    paths = os.pathsep.join([root, *([others] if others else [])])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
