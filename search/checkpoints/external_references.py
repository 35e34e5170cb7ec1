"""Find the checkpoints of a search that other searches of its home start from.

A trial of one search may start from the weights of a trial of another, as long as it has no
checkpoint of its own or is to be trained anew. What it started from stands in its own ledger and
nowhere else, so a search that removes checkpoints looks there.
"""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from search.checkpoints.storage_health import TROUBLES
from search.core.errors import EnvironmentSetupError
from search.core.paths import LEDGER
from search.ledger import formats
from search.ledger.events import QueuedEvent, TrialEvent, WarmWeights, WithdrawnEvent

log = logging.getLogger(__name__)

_STARTS = b'"warm_start": {'
"""Only lines with this are parsed, or with the next: a ledger may have a million others."""
_WITHDRAWN = b'"event": "withdrawn"'


@dataclass(slots=True)
class _Reading:
    """What was read of one ledger so far."""

    inode: int
    offset: int = 0
    begun: set[str] = field(default_factory=set)
    """Hashes of checkpoints that its trials started from."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Whose weights each of its queued trials starts from, by key."""


class ExternalReferences:
    """Follow the ledgers of the other searches; each time, read what is new."""

    def __init__(self, folder: Path) -> None:
        """Prepare; the first `read_new` reads all ledgers.

        Args:
            folder: the search's own, in its home.
        """
        self._folder = folder
        self._readings: dict[Path, _Reading] = {}
        self._complaints: dict[Path, int | None] = {}

    def read_new(self) -> bool:
        """Read what is new in the ledgers; return whether every ledger could be read.

        What cannot be read is as it was when last it could: a ledger that is somebody else's, one
        that is no file, and all of them while the storage is away.
        """
        try:
            away, gone = self._read_all(list(self._folder.parent.iterdir()))
            # Where nothing is mounted the home looks empty; our own ledger is in it otherwise.
            (self._folder / LEDGER).stat()
        except OSError as error:
            self._complain(self._folder.parent, error)
            return False
        self._readings = {path: r for path, r in self._readings.items() if path not in gone}
        return not away

    def _read_all(self, places: list[Path]) -> tuple[bool, set[Path]]:
        """Read all ledgers; return whether reading one failed, and which are gone."""
        away, gone = False, {path for path in self._readings if path.parent not in places}
        for path in (place / LEDGER for place in places if place != self._folder):
            try:
                self._read(path)
            except (FileNotFoundError, NotADirectoryError):
                gone.add(path)
            except OSError as error:
                away |= error.errno in TROUBLES
                self._complain(path, error)
        return away, gone

    def _complain(self, path: Path, error: OSError) -> None:
        """Log a warning once for each problem, although the ledgers are read every few seconds."""
        if self._complaints.get(path) != error.errno:
            log.warning("%s cannot be read: %s", path, error.strerror)
        self._complaints[path] = error.errno

    @property
    def hashes(self) -> frozenset[str]:
        """Return the hashes of checkpoints that trials of other searches started from."""
        return frozenset().union(*(reading.begun for reading in self._readings.values()))

    @property
    def trials(self) -> frozenset[str]:
        """Return own trials whose weights queued trials of other searches start from."""
        named = (each for r in self._readings.values() for each in r.waiting.values())
        mine = f"{self._folder.name}/"
        return frozenset(each.removeprefix(mine) for each in named if each.startswith(mine))

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            reading = self._readings.get(path)
            if reading is None or reading.inode != inode:
                reading = self._readings[path] = _Reading(inode)
            file.seek(reading.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                reading.offset += len(line)
                if _STARTS in line or _WITHDRAWN in line:
                    _take(reading, line)


def _take(reading: _Reading, line: bytes) -> None:
    try:
        event = formats.parse(line)
    except (ValueError, EnvironmentSetupError):
        return  # its own search complains of a damaged line
    match event:
        case TrialEvent(warm_start=WarmWeights(sha256=sha256)):
            reading.begun.add(sha256)
            reading.waiting.pop(event.wish, None)
        case QueuedEvent(key=key, config={"warm_start": {"weights": str(weights)}}):
            reading.waiting[key] = weights
        case WithdrawnEvent(key=key):
            reading.waiting.pop(key, None)
