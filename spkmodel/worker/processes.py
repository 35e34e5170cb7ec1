"""Identify worker processes, and record which one works on which attempt.

A pid alone is no name: it is given to another process later. With the time at which the kernel
started it, and the boot of that kernel, it is one for good.
"""

import contextlib
import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from spkmodel.core.process_identity import process_start

_WRITING_SECONDS = 600.0
"""Who has not finished a few hundred bytes by then is no more."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that works on an attempt."""

    attempt: int
    host: str
    pid: int
    started: str
    """As `process_start` says."""
    node: str
    """Ray's name of its machine; empty without Ray."""
    oom_kills: int | None
    """Of its kernel, when the attempt began."""


def kernel_oom_kills() -> int | None:
    """Return how many processes this kernel killed for lack of memory since boot; None: unknown."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def announce(folder: Path, attempt: int, node: str) -> None:
    """Record durably that this process works on an attempt from now on.

    Args:
        folder: the training's own.
        attempt: its number.
        node: Ray's name of this machine.

    Raises:
        OSError: the storage is in the way; nothing half-written stays.
    """
    started = process_start(os.getpid())
    assert started is not None
    worker = Worker(attempt, socket.gethostname(), os.getpid(), started, node, kernel_oom_kills())
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".worker.{uuid.uuid4().hex[:8]}"  # pids of two machines may be the same
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(worker), file)
            file.flush()
            os.fsync(file.fileno())
        # Renamed into place, so that nobody reads half of it.
        beside.replace(_path_for(folder, attempt))
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    _remove_stale_files(folder, _path_for(folder, attempt).stat().st_mtime)


def _remove_stale_files(folder: Path, now: float) -> None:
    """Remove temporary files of workers that died while writing them.

    Args:
        folder: the training's own.
        now: by the clock of the storage, which several machines share.
    """
    for left in folder.glob(".worker.*"):
        with contextlib.suppress(FileNotFoundError):  # several may be at it
            if left.stat().st_mtime < now - _WRITING_SECONDS:
                left.unlink()


def read_worker(folder: Path, attempt: int) -> Worker | None:
    """Read which process announced that it works on an attempt in `folder`; None: nobody did."""
    try:
        return Worker(**json.loads(_path_for(folder, attempt).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_workers(folder: Path) -> list[Worker]:
    """Read which processes announced that they work on any attempt, oldest first."""
    numbers = sorted(
        int(path.stem.removeprefix("worker-")) for path in folder.glob("worker-*.json")
    )
    found = [read_worker(folder, number) for number in numbers]
    return [worker for worker in found if worker is not None]


def _path_for(folder: Path, attempt: int) -> Path:
    return folder / f"worker-{attempt:04d}.json"
