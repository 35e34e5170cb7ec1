"""A store that is being made: its parts, and the records of what is in them already.

It lies in a hidden folder beside the stores, named after the folder of the corpus. A process that
is killed leaves it; the next one that packs the same corpus goes on there. Whoever works on it
holds a lock, which the operating system releases when the process and its helpers have ended.
"""

import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from spkmodel.data.packing.parts import Placement, cut_parts, samples_on_disk
from spkmodel.data.packing.records import MARK, RECORD, UNUSABLE, read_records
from spkmodel.data.store import part_name

SYNC_SECONDS = 5.0
KEPT_SECONDS = 7 * 86_400
"""Unfinished work of a corpus that nobody packs any more is removed after so long."""

_PREFIX = ".packing-"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Unfinished:
    """The folder, and the records of the files that are in it, in the order of the list."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.lock = lock
        """Descriptor of the lock, to be handed to helping processes."""
        self.placement = Placement()
        self._journal_path = folder.with_name(f"{folder.name}.records")
        self._journal = -1
        self._count = 0
        self._part = 0
        self._failure: OSError | None = None
        self._ended = threading.Event()
        self._syncing: threading.Thread | None = None

    def resume(self, keys: np.ndarray, sizes: np.ndarray, changed: np.ndarray) -> np.ndarray:
        """Return the records of what can be kept for a list of files: its first ones.

        Files that could not be used and are no longer listed are passed over.
        """
        done = self._read_trusted()
        done = done[done["samples"] != UNUSABLE]
        count = min(len(done), len(keys))
        same = (done["key"][:count] == keys[:count]).all(axis=1)
        same &= done["size"][:count] == sizes[:count]
        same &= done["changed_ns"][:count] == changed[:count]
        kept = done[: count if same.all() else int(np.argmin(same))]
        present = samples_on_disk(self.folder)
        for row, length in enumerate(kept["samples"].tolist()):
            piece = self.placement.place([length])[-1]
            if piece.part >= len(present) or piece.start + length > present[piece.part]:
                # After a power failure: the file system has lost the end of a part.
                kept = kept[:row]
                self.placement = Placement()
                self.placement.place(kept["samples"].tolist())
                break
        self._begin(kept)
        return kept

    def commit(self, records: np.ndarray) -> None:
        """Record the next files of the list, whose samples are written.

        Raises:
            OSError: if the disk has failed since the last call.
        """
        if self._failure is not None:
            raise self._failure
        os.write(self._journal, records.tobytes())
        self._count += len(records)

    def sync(self) -> None:
        """Bring everything that is recorded onto the disk."""
        count, last = self._count, len(self.placement.filled) - 1
        for number in range(self._part, last + 1):
            path = self.folder / part_name(number)
            if path.exists():
                _sync_file(path)
        self._part = last
        os.write(self._journal, _mark(count).tobytes())

    def sync_now_and_then(self) -> None:
        """Start a thread that calls `sync` every few seconds, until the work is closed."""

        def run() -> None:
            while not self._ended.wait(SYNC_SECONDS):
                try:
                    self.sync()
                except OSError as error:
                    self._failure = error
                    return

        self._syncing = threading.Thread(target=run, name="sync of packed audio", daemon=True)
        self._syncing.start()

    def discard(self) -> None:
        """Remove everything, the work included that an earlier process has done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._journal_path.unlink(missing_ok=True)

    def close(self) -> None:
        """End the thread and close the files; what is done stays for the next process."""
        self._ended.set()
        if self._syncing is not None:
            self._syncing.join()
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1

    def _begin(self, kept: np.ndarray) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        cut_parts(self.folder, self.placement.filled)
        beside = self._journal_path.with_suffix(".new")
        beside.write_bytes(np.concatenate([kept, _mark(len(kept))]).tobytes())
        beside.replace(self._journal_path)
        self._journal = os.open(self._journal_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._count = len(kept)

    def _read_trusted(self) -> np.ndarray:
        """Return the records whose samples are there, also if the machine has lost its power."""
        found = read_records(self._journal_path)
        is_mark = found["samples"] == MARK
        files, marks = found[~is_mark], found[is_mark]
        if not len(marks):
            return files[:0]
        if bytes(marks[-1]["sha256"]) == _boot():
            return files
        return files[: int(marks[-1]["size"])]


@contextmanager
def take_turn(corpora: Path, corpus: Path) -> Iterator[Unfinished]:
    """Wait until no other process packs a corpus, and yield what is unfinished of its store."""
    corpora.mkdir(parents=True, exist_ok=True)
    folder = _folder_of(corpora, corpus)
    path = folder.with_name(f"{folder.name}.lock")
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_same(lock, path):
                break
        except BaseException:
            os.close(lock)
            raise
        # Its last holder has removed it meanwhile.
        os.close(lock)
    unfinished = Unfinished(folder, lock)
    try:
        yield unfinished
    finally:
        unfinished.close()
        # Removed while it is held: who waits for it sees that it is another file.
        path.unlink(missing_ok=True)
        os.close(lock)


def has_unfinished(corpora: Path, corpus: Path) -> bool:
    """Return whether an earlier process has left unfinished work of a corpus."""
    folder = _folder_of(corpora, corpus)
    return folder.exists() or folder.with_name(f"{folder.name}.records").exists()


def find_unfinished(corpora: Path) -> Iterator[Path]:
    """Yield the folders of unfinished stores that no process works on."""
    for folder in sorted(corpora.glob(f"{_PREFIX}*")):
        if folder.is_dir() and not _is_locked(folder.with_name(f"{folder.name}.lock")):
            yield folder


def remove_unfinished(folder: Path) -> None:
    """Remove an unfinished store and its records."""
    shutil.rmtree(folder, ignore_errors=True)
    for ending in ("records", "new", "lock"):
        folder.with_name(f"{folder.name}.{ending}").unlink(missing_ok=True)


def remove_outdated(corpora: Path) -> None:
    """Remove unfinished stores that nobody has worked on for a week."""
    for folder in find_unfinished(corpora):
        if time.time() - _last_change(folder) > KEPT_SECONDS:
            remove_unfinished(folder)


def _folder_of(corpora: Path, corpus: Path) -> Path:
    name = hashlib.sha256(os.fsencode(corpus.resolve())).hexdigest()[:16]
    return corpora / f"{_PREFIX}{name}"


def _last_change(folder: Path) -> float:
    return max((each.stat().st_mtime for each in (folder, *folder.iterdir())), default=0.0)


def _is_locked(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _boot() -> bytes:
    """Return 32 bytes that name this start of the machine; random where it has no name."""
    try:
        return hashlib.sha256(_BOOT_ID.read_bytes()).digest()
    except OSError:
        return os.urandom(32)


def _mark(count: int) -> np.ndarray:
    mark = np.zeros(1, dtype=RECORD)
    mark["size"], mark["samples"] = count, MARK
    mark["sha256"][0] = np.frombuffer(_boot(), dtype=np.uint8)
    return mark


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
