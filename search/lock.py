"""One driver a search: a lock that names its owner and outlives no process.

On one host the kernel decides (`flock` on a file that stays open, released when the process
dies). For other hosts, whose locks a shared file system may not carry, `driver.json` beside it
counts the beats of its owner. Whoever wants to take over watches that count for a lease's length by
a clock of its own that nobody sets: two hosts need not agree what time it is.
"""

import contextlib
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from search.errors import EnvironmentProblem
from spkmodel.processes import boot_id, process_start

log = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
_RENEW_SECONDS = 15.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """Who drives a search."""

    host: str
    pid: int
    started: str
    """When the process began, as its host's kernel counts; tells a reused pid from the owner."""
    lease_until: float
    """Unix time, by its host's clock, until which it is shown as alive; nobody decides by it."""
    beat: int = 0
    """Rises while the process lives."""

    def same_process(self, other: "DriverInfo") -> bool:
        """Whether both describe one process, whatever its lease."""
        return (self.host, self.pid, self.started) == (other.host, other.pid, other.started)

    @property
    def is_of_this_host(self) -> bool:
        """Whether the kernel here knows the process; a name alone may be another machine's."""
        return self.host == socket.gethostname() and self.started.startswith(f"{boot_id()}-")

    def is_alive(self) -> bool:
        """Whether the process runs; of another host as far as can be told at a glance."""
        if self.is_of_this_host:
            return process_start(self.pid) == self.started
        return time.time() < self.lease_until


def this_process() -> DriverInfo:
    """The calling process with a fresh lease."""
    started = process_start(os.getpid())
    assert started is not None
    return DriverInfo(socket.gethostname(), os.getpid(), started, time.time() + LEASE_SECONDS)


def driver_of(folder: Path) -> DriverInfo | None:
    """Who was last written down as the driver of the search in `folder`, alive or not."""
    try:
        return DriverInfo(**json.loads((folder / "driver.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


class Lock:
    """Held from `acquire` to `release`, or to the death of the process."""

    def __init__(self, folder: Path, file_descriptor: int) -> None:
        self._folder = folder
        self._descriptor = file_descriptor
        self._renewed = 0.0
        self._beat = 0

    @classmethod
    def acquire(cls, folder: Path, say: Callable[[str], None] = log.warning) -> "Lock":
        """Become the driver of the search in `folder`.

        After a driver of another host this takes a lease's length, unless that one left in order.

        Args:
            folder: the search's.
            say: told what is waited for.

        Raises:
            EnvironmentProblem: naming who drives it.
        """
        descriptor = os.open(folder / "driver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise driven_by(folder, driver_of(folder)) from None
        try:
            owner = driver_of(folder)
            if owner is not None and not owner.same_process(this_process()):
                _outlast(folder, owner, say)
            lock = cls(folder, descriptor)
            lock._write()
        except BaseException:
            os.close(descriptor)
            raise
        return lock

    def renew(self) -> None:
        """Keep the lease; cheap enough to be called at every step.

        Raises:
            EnvironmentProblem: if another driver took over because this one gave no sign of life.
        """
        if _now() - self._renewed < _RENEW_SECONDS:
            return
        owner = driver_of(self._folder)
        if owner is not None and not owner.same_process(this_process()):
            raise driven_by(self._folder, owner)
        self._write()

    def release(self) -> None:
        """Let others drive; the lock file stays, since removing it would race with an opener."""
        owner = driver_of(self._folder)
        if owner is not None and owner.same_process(this_process()):
            with contextlib.suppress(OSError):  # read-only by now; the process is gone anyway
                (self._folder / "driver.json").unlink(missing_ok=True)
        os.close(self._descriptor)

    def _write(self) -> None:
        self._beat += 1
        beside = self._folder / f"driver.json.{os.getpid()}"
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(this_process()) | {"beat": self._beat}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / "driver.json")
        self._renewed = _now()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _outlast(folder: Path, owner: DriverInfo, say: Callable[[str], None]) -> None:
    """Return once the owner is known to be gone.

    Raises:
        EnvironmentProblem: if it is alive, or another took over.
    """
    if owner.is_of_this_host:
        if owner.is_alive():
            raise driven_by(folder, owner)
        return
    say(
        f"search {folder.name!r} was driven by process {owner.pid} on {owner.host}, which did not "
        f"leave in order; taking over if it gives no sign of life for {LEASE_SECONDS:.0f} s"
    )
    end = _now() + LEASE_SECONDS
    while _now() < end:
        time.sleep(_LOOK_SECONDS)
        seen = driver_of(folder)
        if seen is None:
            return
        if seen != owner:
            raise driven_by(folder, seen)


def _now() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine is suspended."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def driven_by(folder: Path, owner: DriverInfo | None) -> EnvironmentProblem:
    """Why nobody else may drive the search in `folder`."""
    who = f"process {owner.pid} on {owner.host}" if owner else "another process, just starting"
    return EnvironmentProblem(
        f"search {folder.name!r} is driven by {who}; watch it with `spksearch status "
        f"{folder.name}`, end it with `spksearch stop {folder.name}`, or use another --name"
    )
