"""Read and append to the ledger of a search; no other module opens the file.

One JSON event a line, fsynced. Sampler, scheduler, budgets and tracking are rebuilt from it.
"""

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from search.core.errors import EnvironmentSetupError
from search.core.lock import Lock
from search.core.paths import make_home
from search.ledger import formats
from search.ledger.events import Event, LedgerDamaged
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)

RetryPolicy = Callable[[OSError], None]
"""Called while the storage refuses: returns to try once more, raises to give up."""

PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}
)
"""What storage answers that is full, read-only or failing, and may be well again."""


class Ledger:
    """A search's ledger, open for reading, or for reading and appending by its one driver.

    A copy, deep or pickled, is a reader: Tune copies what it is given, and a copy must not write.
    """

    def __init__(self, path: Path, search: str, lock: Lock | None) -> None:
        self.path = path
        self.search = search
        self._lock = lock
        self._turn = threading.Lock()
        self._half_line: int | None = None
        """Where a line begins that could be neither written nor taken back."""
        self._retry_policy: RetryPolicy | None = None
        self.storage_error: OSError | None = None
        """What the storage answers while an event waits to be written; None: it was."""
        self._descriptor = -1 if lock is None else _open_for_append(path)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        write: bool = False,
        search: str | None = None,
        say: Callable[[str], None] = log.warning,
        drives: bool = True,
    ) -> "Ledger":
        """Open a ledger; for writing, take the search's lock and cut off an incomplete last line.

        Args:
            path: `ledger.jsonl` in the search's folder; made, folder included, when writing.
            write: have the search's lock until `close`.
            search: the search's name; by default its folder's.
            say: told what is waited for, if a driver of another host may be alive.
            drives: with `write`: whether as its driver, or only to write something down.

        Raises:
            EnvironmentSetupError: if another process drives the search, or the folder is read-only.
        """
        name = path.parent.name if search is None else search
        if not write:
            return cls(path, name, None)
        try:
            make_home(path.absolute().parent.parent)
            path.parent.mkdir(exist_ok=True)
            return cls(path, name, Lock.acquire(path.parent, say, drives=drives))
        except OSError as error:
            raise EnvironmentSetupError(
                f"cannot write the ledger {path}: {error.strerror}; set SPKSEARCH_HOME to a "
                "folder that can be written"
            ) from error

    def append(self, event: E, /, uptime: float | None = None) -> E:
        """Write one event, wait for the disk, and return it with its time and search.

        Args:
            event: to be written.
            uptime: seconds that the driver has worked; None: no driver writes it.

        Raises:
            EnvironmentSetupError: if the disk refuses and there is no patience with it, or another
                driver took the search over.
            ValueError: if a number is not finite.
        """
        assert self._lock is not None, "opened for reading"
        said: dict[str, Any] = {} if uptime is None else {"uptime": uptime}
        said |= {"time": datetime.now(UTC).isoformat(timespec="microseconds")}
        written = event.model_copy(update={**said, "search": self.search})
        line = written.to_line().encode() + b"\n"
        with self._turn:
            self._retry(lambda: self._write(line))
        return written

    def keep_alive(self) -> None:
        """Renew the lease of the lock if it is due.

        Raises:
            EnvironmentSetupError: if another driver took the search over.
        """
        assert self._lock is not None, "opened for reading"
        with self._turn:
            self._retry(self._lock.renew)

    def set_retry_policy(self, patience: RetryPolicy | None) -> None:
        """Make `append` wait instead of raising while the storage is full, read-only or failing."""
        self._retry_policy = patience

    def _write(self, line: bytes) -> None:
        """Append a line durably: after a crash it is on disk completely or not at all."""
        assert self._lock is not None
        self._lock.renew()
        if self._half_line is not None:
            os.ftruncate(self._descriptor, self._half_line)
        self._half_line = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # if not now, the next try begins with it
                os.ftruncate(self._descriptor, self._half_line)
                self._half_line = None
            raise
        self._half_line = None

    def _retry(self, action: Callable[[], None]) -> None:
        while True:
            try:
                action()
            except OSError as error:
                if error.errno not in PASSING or self._retry_policy is None:
                    raise EnvironmentSetupError(
                        f"cannot append to the ledger {self.path}: {error.strerror}; nothing "
                        "recorded so far is lost, launch again when the storage can be written"
                    ) from error
                if self.storage_error is None:
                    log.warning("waiting for %s: %s", self.path, error.strerror)
                self.storage_error = error
                self._retry_policy(error)
            else:
                if self.storage_error is not None:
                    log.warning("%s can be written again", self.path)
                self.storage_error = None
                return

    def events(self) -> Iterator[Event]:
        """Return all complete events, oldest first; another process may be appending.

        Raises:
            LedgerDamaged: naming the line.
        """
        yield from self.events_from(0)[0]

    def events_from(self, offset: int) -> tuple[list[Event], int]:
        """Return the events after byte `offset` (0 or an earlier result), and the next offset.

        Raises:
            LedgerDamaged: naming the line.
        """
        if not self.path.is_file():
            return [], offset
        with self.path.open("rb") as file:
            file.seek(offset)
            raw = file.read()
        complete = raw[: _end_of_complete(raw)]
        events: list[Event] = []
        for index, line in enumerate(complete.splitlines()):
            try:
                events.append(formats.parse(line))
            except ValueError as error:
                raise LedgerDamaged(
                    f"{self.path}:{self._lines_before(offset) + index + 1}: not a ledger event "
                    f"({error}); restore the file from a copy, or launch under another --name"
                ) from error
        return events, offset + len(complete)

    def state(self) -> SearchState:
        """Return the state that all events so far add up to."""
        return SearchState.from_events(self.events())

    def trials(self) -> dict[str, TrialRecord]:
        """Return all trials by name, oldest first."""
        return self.state().trials

    def close(self) -> None:
        """Release the lock, so that another process may drive; reading stays possible."""
        if self._lock is not None:
            os.close(self._descriptor)
            self._lock.release()
            self._lock = None

    def _lines_before(self, offset: int) -> int:
        with self.path.open("rb") as file:
            return file.read(offset).count(b"\n")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Ledger, (self.path, self.search, None))

    def __deepcopy__(self, memo: dict[int, Any]) -> "Ledger":
        return Ledger(self.path, self.search, None)


def _open_for_append(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    _cut_torn_line(path, descriptor)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # or the file's name could be lost with the power
    os.close(folder)
    return descriptor


def _cut_torn_line(path: Path, descriptor: int) -> None:
    raw = path.read_bytes()
    complete = _end_of_complete(raw)
    if complete != len(raw):
        os.ftruncate(descriptor, complete)
        os.fsync(descriptor)


def _end_of_complete(raw: bytes) -> int:
    """Return where an incomplete last line begins; the length of the data if there is none.

    A power cut may leave a part of a line, or its place filled with zeros; JSON has no zero byte.
    """
    end = raw.rfind(b"\n") + 1
    if end != len(raw):
        return end
    last = raw.rfind(b"\n", 0, max(0, end - 1)) + 1
    return last if b"\0" in raw[last:end] else end
