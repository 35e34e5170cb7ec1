"""Read and judge who drives a search: the owner's record, its heartbeat and its lease.

`driver.json` in a search's folder names the owner and counts its heartbeats. Another host decides
by whether that count changes, never by a time that is written there: the clocks of two machines may
be an hour apart.
"""

import json
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from search.core.errors import EnvironmentSetupError
from spkmodel.core import foreign_file
from spkmodel.core.process_identity import boot_id, process_start

LEASE_SECONDS = 120.0
"""How long an owner on another host may show no heartbeat before it counts as gone."""
DRIVER_FILE = "driver.json"
_MOST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """The process that drives a search."""

    host: str
    pid: int
    started: str
    """When the process began, as its host's kernel counts; tells a reused pid from the owner."""
    lease_until: float
    """Unix time, by its host's clock, until which its lease lasts; for people, nothing decides by
    it."""
    beat: int = 0
    """Rises while the process lives."""
    drives: bool = True
    """Whether it is a driver; if not, it only writes something down, and answers no request."""

    def same_process(self, other: "DriverInfo") -> bool:
        """Return whether both describe one process, whatever its lease."""
        return (self.host, self.pid, self.started) == (other.host, other.pid, other.started)

    @property
    def is_of_this_host(self) -> bool:
        """Whether the kernel here knows the process."""
        # The name alone is not enough: two containers or cloned machines may share it.
        return self.host == socket.gethostname() and self.started.startswith(f"{boot_id()}-")


# It stands for an owner, and None for the lack of one: an unreadable record must not be taken
# over at once.
UNKNOWN_DRIVER = DriverInfo("", 0, "", 0.0)
"""An owner that has not written its record yet, or whose record this version cannot read."""
_FIELDS = DriverInfo.__dataclass_fields__.keys()


def this_process() -> DriverInfo:
    """Return the calling process with a fresh lease."""
    started = process_start(os.getpid())
    assert started is not None
    return DriverInfo(socket.gethostname(), os.getpid(), started, time.time() + LEASE_SECONDS)


def read_recorded_driver(folder: Path) -> DriverInfo | None:
    """Return the driver that was last recorded for the search in `folder`, alive or not."""
    owner = read_owner(folder / DRIVER_FILE)
    return None if owner is UNKNOWN_DRIVER else owner


def find_live_driver(folder: Path) -> DriverInfo | None:
    """Return the process that drives the search in `folder` now; None if there is none.

    Of a driver on another host this is a guess from one look: it counts as alive if its record was
    written less than a lease ago, by the clock of the storage.
    """
    driver = read_recorded_driver(folder)
    if driver is None or not driver.drives:
        return None
    if driver.is_of_this_host:
        # The start time tells the owner from a later process that got the same number.
        return driver if process_start(driver.pid) == driver.started else None
    return driver if _seconds_since_written(folder / DRIVER_FILE) < LEASE_SECONDS else None


def read_owner(path: Path) -> DriverInfo | None:
    """Return the owner that a file records; None if there is no such file."""
    try:
        fields = json.loads(foreign_file.read_text(path, _MOST_BYTES))
        # A later version may write more fields; the ones known here still count.
        return DriverInfo(**{name: fields[name] for name in fields.keys() & _FIELDS})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):
        return UNKNOWN_DRIVER


def read_heartbeat(folder: Path) -> bytes | None:
    """Return the contents of `driver.json`, which change with every heartbeat; None if gone.

    A file that no driver wrote, such as a pipe, has none: it is empty.
    """
    try:
        return foreign_file.read_bytes(folder / DRIVER_FILE, _MOST_BYTES)
    except foreign_file.ForeignFileError:
        return b""
    except FileNotFoundError:
        return None


def monotonic_seconds() -> float:
    """Return the seconds of a clock that nobody sets, and that counts suspension too."""
    # A laptop that slept through its lease must notice it; time.monotonic() stops meanwhile.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def already_driven_error(folder: Path, owner: DriverInfo | None) -> EnvironmentSetupError:
    """Return the error that says why nobody else may drive the search in `folder`."""
    who = "another process, just starting"
    if owner is not None and owner is not UNKNOWN_DRIVER:
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


def _seconds_since_written(path: Path) -> float:
    """Return the seconds since a file was written; infinite if it is gone."""
    # Both moments are taken from the storage, which writes a second file for this: the clocks of
    # this machine and of the file server may differ by an hour.
    probe = path.with_name(f".clock-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}")
    try:
        probe.write_text("")
        now = probe.stat().st_mtime
        probe.unlink(missing_ok=True)
    except OSError:  # a reader without write access has no better clock than its machine's
        now = time.time()
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
