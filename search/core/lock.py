"""Hold a search for one driver: a lock that names its owner and does not outlive its process.

On one host the kernel decides (`os_lock`: `flock` on a file that stays open, released when the
process dies). Hosts whose locks a shared file system may not carry take turns (`driver_turns`), and
a turn is lost by an owner whose heartbeat stops for the length of a lease (`lease`).
"""

import contextlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType

from search.core import driver_turns, lease
from search.core.errors import EnvironmentSetupError
from search.core.os_lock import LOCK_FILE, acquire_os_lock
from spkmodel.core.temporary import temporary_beside

log = logging.getLogger(__name__)

_RENEW_SECONDS = 15.0
"""An eighth of the lease: some writes to slow storage may be late or lost."""


class Lock:
    """The right to drive a search, from `acquire` to `release` or to the death of the process."""

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

        After a driver of another host this takes the length of a lease, unless that driver left in
        order.

        Args:
            folder: the search's.
            say: called with a line that says what is waited for.
            drives: whether to become its driver; if not, to write something down.

        Raises:
            EnvironmentSetupError: naming the process that drives it.
        """
        descriptor = acquire_os_lock(folder)
        try:
            turn = driver_turns.take_turn(folder, say)
        except BaseException:
            os.close(descriptor)
            raise
        lock = cls(folder, descriptor, turn, drives=drives)
        try:
            lock._write()
            # A process that was suspended here for the length of a lease has lost its turn.
            lock._check()
        except BaseException:
            lock.release()
            raise
        return lock

    def renew(self) -> None:
        """Keep the lease; cheap enough to be called at every step.

        Raises:
            EnvironmentSetupError: if another driver took over because this one showed no heartbeat.
        """
        if lease.monotonic_seconds() - self._renewed >= _RENEW_SECONDS:
            self._check()
            self._write()

    def release(self) -> None:
        """Let others drive."""
        # The record goes first, then the turn: see `driver_turns._outlast`. A folder that has
        # become read-only keeps both, and the next driver waits for the lease to end.
        with contextlib.suppress(OSError):
            own_turn = driver_turns.turn_path(self._folder, self._turn)
            for path in (self._folder / lease.DRIVER_FILE, own_turn):
                owner = lease.read_owner(path)
                if owner is not None and owner.same_process(lease.this_process()):
                    path.unlink(missing_ok=True)
        # The file `driver.lock` stays: removing it would race with a process that opens it.
        os.close(self._descriptor)

    def _check(self) -> None:
        """Raise EnvironmentSetupError if another process has taken over, or the folder is gone."""
        self._require_same_folder()
        later = [turn for turn in driver_turns.list_turns(self._folder) if turn > self._turn]
        if later:
            # A later turn counts even before its owner has written `driver.json`.
            owner = lease.read_owner(driver_turns.turn_path(self._folder, later[-1]))
        else:
            owner = lease.read_recorded_driver(self._folder)
        if owner is not None and not owner.same_process(lease.this_process()):
            raise lease.already_driven_error(self._folder, owner)

    def _require_same_folder(self) -> None:
        # The ledger stays open, so events would go on into a folder of another name, while workers
        # would make a new one of the old name.
        held = os.fstat(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            there = (self._folder / LOCK_FILE).stat()
            if (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino):
                return
        raise EnvironmentSetupError(
            f"the folder of search {self._folder.name!r} was renamed, moved or removed while it "
            f"ran: {self._folder} is not the one any more; nothing recorded is lost: give the "
            "folder its name back, and launch again"
        )

    def _write(self) -> None:
        """Write the next heartbeat, in one step, so that a reader never sees half of it."""
        self._beat += 1
        beside = temporary_beside(self._folder / lease.DRIVER_FILE)
        with beside.open("w", encoding="utf-8") as file:
            me = replace(lease.this_process(), beat=self._beat, drives=self._drives)
            json.dump(asdict(me), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._folder / lease.DRIVER_FILE)
        self._renewed = lease.monotonic_seconds()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
