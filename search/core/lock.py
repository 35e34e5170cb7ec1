"""One driver a search: a lock that names its owner and outlives no process.

On one host the kernel decides (`flock` on a file that stays open, released when the process
dies). Other hosts, whose locks a shared file system may not carry, take turns: a turn is a numbered
file that only one of many can create, and that goes when its owner leaves in order. `driver.json`
counts the beats of the owner. Whoever wants to take over watches that count for a lease's length by
a clock of its own that nobody sets, and then tries for the next turn: two hosts need not agree what
time it is, and of those who have watched the same owner one gets the turn.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

from search.core.errors import EnvironmentSetupError
from spkmodel.worker.processes import boot_id, process_start

log = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
_RENEW_SECONDS = 15.0
_LOOK_SECONDS = 0.5
_BRIEF_SECONDS = 0.5
"""Who only writes down a word for the next driver holds the lock for less."""
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system answers that has no locks; turns do without."""
_TURN = re.compile(r"turn-(\d{6,})\.json")


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """Who drives a search."""

    host: str
    pid: int
    started: str
    """When the process began, as its host's kernel counts; tells a reused pid from the owner."""
    lease_until: float
    """Unix time, by its host's clock, until which it means to be heard of; nobody decides by it."""
    beat: int = 0
    """Rises while the process lives."""
    drives: bool = True
    """Whether it is a driver; if not, it only writes something down, and hears no request."""

    def same_process(self, other: "DriverInfo") -> bool:
        """Whether both describe one process, whatever its lease."""
        return (self.host, self.pid, self.started) == (other.host, other.pid, other.started)

    @property
    def is_of_this_host(self) -> bool:
        """Whether the kernel here knows the process; a name alone may be another machine's."""
        return self.host == socket.gethostname() and self.started.startswith(f"{boot_id()}-")


def this_process() -> DriverInfo:
    """The calling process with a fresh lease."""
    started = process_start(os.getpid())
    assert started is not None
    return DriverInfo(socket.gethostname(), os.getpid(), started, time.time() + LEASE_SECONDS)


_UNKNOWN = DriverInfo("", 0, "", 0.0)
"""Somebody who has not said yet, or whose words are none that this version knows."""


def driver_of(folder: Path) -> DriverInfo | None:
    """Who was last written down as the driver of the search in `folder`, alive or not."""
    owner = _read(folder / "driver.json")
    return None if owner is _UNKNOWN else owner


def driver_alive(folder: Path) -> DriverInfo | None:
    """Who drives the search in `folder` at this moment; None if nobody.

    Of another host as far as can be told at a glance: by how long ago, on the clock of the storage,
    it gave a sign of life.
    """
    driver = driver_of(folder)
    if driver is None or not driver.drives:
        return None
    if driver.is_of_this_host:
        return driver if process_start(driver.pid) == driver.started else None
    return driver if _age(folder / "driver.json") < LEASE_SECONDS else None


def _read(path: Path) -> DriverInfo | None:
    """Who stands there; None if there is no such file."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return DriverInfo(**{name: fields[name] for name in fields.keys() & _FIELDS})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):
        return _UNKNOWN


_FIELDS = DriverInfo.__dataclass_fields__.keys()


def _age(path: Path) -> float:
    """Seconds since a file was written; infinite if it is gone.

    Both moments are the storage's: the clocks of two machines may be an hour apart.
    """
    probe = path.with_name(f".clock-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}")
    try:
        probe.write_text("")
        now = probe.stat().st_mtime
        probe.unlink(missing_ok=True)
    except OSError:  # who may only read has no better clock than the machine's
        now = time.time()
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


class Lock:
    """Held from `acquire` to `release`, or to the death of the process."""

    def __init__(self, folder: Path, file_descriptor: int, turn: int, *, drives: bool) -> None:
        self._folder = folder
        self._drives = drives
        self._descriptor = file_descriptor
        self._turn = turn
        self._renewed = 0.0
        self._beat = 0

    @classmethod
    def acquire(
        cls, folder: Path, say: Callable[[str], None] = log.warning, *, drives: bool = True
    ) -> "Lock":
        """Become the driver of the search in `folder`.

        After a driver of another host this takes a lease's length, unless that one left in order.

        Args:
            folder: the search's.
            say: told what is waited for.
            drives: whether to become its driver; if not, to write something down.

        Raises:
            EnvironmentSetupError: naming who drives it.
        """
        descriptor = os.open(folder / "driver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(folder, descriptor)
            turn = _take_turn(folder, say)
        except BaseException:
            os.close(descriptor)
            raise
        lock = cls(folder, descriptor, turn, drives=drives)
        try:
            lock._write()
            lock._check()  # or one that was held up here for a lease's length would not know
        except BaseException:
            lock.release()
            raise
        return lock

    def renew(self) -> None:
        """Keep the lease; cheap enough to be called at every step.

        Raises:
            EnvironmentSetupError: if another driver took over while this one gave no sign of
                life.
        """
        if _now() - self._renewed >= _RENEW_SECONDS:
            self._check()
            self._write()

    def release(self) -> None:
        """Let others drive; the lock file stays, since removing it would race with an opener."""
        with contextlib.suppress(OSError):  # read-only by now; the process is gone anyway
            for path in (self._folder / "driver.json", _place(self._folder, self._turn)):
                owner = _read(path)
                if owner is not None and owner.same_process(this_process()):
                    path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _check(self) -> None:
        later = [turn for turn in _turns(self._folder) if turn > self._turn]
        owner = _read(_place(self._folder, later[-1])) if later else driver_of(self._folder)
        if owner is not None and not owner.same_process(this_process()):
            raise driven_by(self._folder, owner)

    def _write(self) -> None:
        self._beat += 1
        beside = self._folder / f"driver.json.{os.getpid()}"
        with beside.open("w", encoding="utf-8") as file:
            me = replace(this_process(), beat=self._beat, drives=self._drives)
            json.dump(asdict(me), file)
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


def _lock(folder: Path, descriptor: int) -> None:
    """Have the kernel's lock.

    Raises:
        EnvironmentSetupError: if another process of this host has it, or of any host where the file
            system carries locks.
    """
    end = _now() + _BRIEF_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _now() >= end:
                raise driven_by(folder, driver_of(folder)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return
        time.sleep(_BRIEF_SECONDS / 10)


def _take_turn(folder: Path, say: Callable[[str], None]) -> int:
    """Get the turn after that of an owner who is known to be gone; its number.

    Raises:
        EnvironmentSetupError: if the owner is alive, or another gets the turn.
    """
    before = _turns(folder)
    owner = _read(_place(folder, before[-1])) if before else _read(folder / "driver.json")
    if owner is not None and not owner.same_process(this_process()):
        before = _outlast(folder, owner, before, say)
    turn = 1 + max(before, default=0)
    if not _create(_place(folder, turn)):
        raise driven_by(folder, _read(_place(folder, turn)))
    now = _turns(folder)
    if now != [*before, turn]:
        # What was seen before is no longer so: somebody came and left, and turns began anew.
        _place(folder, turn).unlink(missing_ok=True)
        raise driven_by(folder, driver_of(folder))
    for each in before:
        _place(folder, each).unlink(missing_ok=True)
    return turn


def _turns(folder: Path) -> list[int]:
    """Turns that somebody has, or has left without a word, in their order."""
    with os.scandir(folder) as entries:
        found = [_TURN.fullmatch(entry.name) for entry in entries]
    return sorted(int(match[1]) for match in found if match)


def _place(folder: Path, turn: int) -> Path:
    return folder / f"turn-{turn:06d}.json"


def _create(path: Path) -> bool:
    """Whether this process, and no other one, has created the file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(this_process()), file)
        file.flush()
        os.fsync(file.fileno())
    return True


def _outlast(
    folder: Path, owner: DriverInfo, turns: list[int], say: Callable[[str], None]
) -> list[int]:
    """Return once the owner is known to be gone: the turns that are left then.

    Raises:
        EnvironmentSetupError: if it is alive, or another took over.
    """
    if owner.is_of_this_host:
        if process_start(owner.pid) == owner.started:
            raise driven_by(folder, owner)
        return turns
    who = "somebody unknown" if owner is _UNKNOWN else f"process {owner.pid} on {owner.host}"
    say(
        f"search {folder.name!r} was driven by {who}, which did not leave in order; taking over if "
        f"it gives no sign of life for {LEASE_SECONDS:.0f} s"
    )
    beat = _beat(folder)
    end = _now() + LEASE_SECONDS
    while _now() < end:
        time.sleep(_LOOK_SECONDS)
        now, seen = _turns(folder), _beat(folder)
        if not now and seen is None:
            return []
        # Who leaves in order takes away the beat first, then the turn.
        if now not in (turns, []) or seen not in (beat, None):
            raise driven_by(folder, driver_of(folder))
    return turns


def _beat(folder: Path) -> bytes | None:
    """What stands in `driver.json`; None if it is gone."""
    try:
        return (folder / "driver.json").read_bytes()
    except FileNotFoundError:
        return None


def _now() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine is suspended."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def driven_by(folder: Path, owner: DriverInfo | None) -> EnvironmentSetupError:
    """Why nobody else may drive the search in `folder`."""
    who = "another process, just starting"
    if owner is not None and owner is not _UNKNOWN:
        who = f"process {owner.pid} on {owner.host}"
    if owner is not None and not owner.drives:
        return EnvironmentSetupError(
            f"{who} writes something down about search {folder.name!r}, such as a look at its test "
            "pairs; try again when it has ended"
        )
    return EnvironmentSetupError(
        f"search {folder.name!r} is driven by {who}; watch it with `spksearch status "
        f"{folder.name}`, end it with `spksearch stop {folder.name}`, or use another --name"
    )
