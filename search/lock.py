"""One driver a search: a lock that names its owner and outlives no process.

On one host the kernel decides (`flock` on a file that stays open, released when the process
dies). For other hosts, whose locks a shared file system may not carry, `driver.json` beside it
holds a lease that the owner renews.
"""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from search.errors import EnvironmentProblem

LEASE_SECONDS = 120.0
_RENEW_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """Who drives a search."""

    host: str
    pid: int
    started: str
    """When the process began, as its host's kernel counts; tells a reused pid from the owner."""
    lease_until: float
    """Unix time after which another host may take over."""

    def same_process(self, other: "DriverInfo") -> bool:
        """Whether both describe one process, whatever its lease."""
        return (self.host, self.pid, self.started) == (other.host, other.pid, other.started)

    def is_alive(self) -> bool:
        """Whether the process runs; of another host, whether its lease does."""
        if self.host == socket.gethostname():
            return process_start(self.pid) == self.started
        return time.time() < self.lease_until


def process_start(pid: int) -> str | None:
    """When a process of this host began, in a form that no later process repeats; None if gone."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("stat").exists():
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if after_name[0] in "ZX":
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        return f"{boot}-{after_name[19]}"
    answer = subprocess.run(  # a host without /proc
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


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

    @classmethod
    def acquire(cls, folder: Path) -> "Lock":
        """Become the driver of the search in `folder`.

        Raises:
            EnvironmentProblem: naming who drives it.
        """
        descriptor = os.open(folder / "driver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _driven_by(folder, driver_of(folder)) from None
        owner = driver_of(folder)
        if owner is not None and owner.is_alive() and not owner.same_process(this_process()):
            os.close(descriptor)
            raise _driven_by(folder, owner)
        lock = cls(folder, descriptor)
        lock._write()
        return lock

    def renew(self) -> None:
        """Keep the lease; cheap enough to be called at every step.

        Raises:
            EnvironmentProblem: if another driver took over because the lease had run out.
        """
        if time.monotonic() - self._renewed < _RENEW_SECONDS:
            return
        owner = driver_of(self._folder)
        if owner is not None and not owner.same_process(this_process()):
            raise _driven_by(self._folder, owner)
        self._write()

    def release(self) -> None:
        """Let others drive; the lock file stays, since removing it would race with an opener."""
        owner = driver_of(self._folder)
        if owner is not None and owner.same_process(this_process()):
            with contextlib.suppress(OSError):  # read-only by now; the process is gone anyway
                (self._folder / "driver.json").unlink(missing_ok=True)
        os.close(self._descriptor)

    def _write(self) -> None:
        beside = self._folder / f"driver.json.{os.getpid()}"
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(this_process()), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / "driver.json")
        self._renewed = time.monotonic()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _driven_by(folder: Path, owner: DriverInfo | None) -> EnvironmentProblem:
    who = f"process {owner.pid} on {owner.host}" if owner else "another process, just starting"
    return EnvironmentProblem(
        f"search {folder.name!r} is driven by {who}; watch it with `spksearch status "
        f"{folder.name}`, end it with `spksearch stop {folder.name}`, or use another --name"
    )
