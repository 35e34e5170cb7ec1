"""Check and remove checkpoint folders, and find those that no event records."""

import errno
import logging
import os
import queue
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from search.ledger.report import Partial, Report
from search.ledger.state import SearchState

log = logging.getLogger(__name__)

TRIALS = "trials"
"""The folder of all trials' folders, inside the search's."""

_FILES = frozenset({"tensors.safetensors", "state.json"})
"""What a folder may hold that is taken for a checkpoint nobody knows of."""


def integrity_error(folder: Path, report: Report | Partial) -> str:
    """Return what is wrong with a checkpoint, by file names and sizes; empty if nothing is.

    Its hash is verified where it is read (`spkmodel.core.checkpoint`).

    Args:
        folder: the search's.
        report: whose checkpoint it is.

    Raises:
        OSError: the storage is in the way, which says nothing about the checkpoint.
    """
    place = folder / report.checkpoint
    try:
        found = _bytes_in(place)
    except (FileNotFoundError, NotADirectoryError):
        # Over a network a folder that another machine made may be seen late: looking into the one
        # above asks again. And where the ledger is gone too, it is the storage that is missing.
        if place.parent.is_dir() and place in place.parent.iterdir():
            found = _bytes_in(place)
        elif (folder / "ledger.jsonl").is_file():
            return "it is missing"
        else:
            raise OSError(errno.ENXIO, "the storage is gone", str(folder)) from None
    if report.bytes is not None and found != report.bytes:
        return f"it has {found} bytes, recorded were {report.bytes}"
    return ""


def listed(folder: Path) -> set[str]:
    """Return all checkpoint folders of all trials, relative to the search's `folder`."""
    found = set()
    for trial in _folders(folder / TRIALS):
        found |= {f"{TRIALS}/{trial.name}/{entry.name}" for entry in _folders(Path(trial.path))}
    return found


def forgotten(folder: Path, state: SearchState, there: set[str]) -> set[str]:
    """Return the folders of `there` that no event records, which are to be removed.

    A removal that was written down and not carried out, a checkpoint that no report came to name,
    and what a writer left that died over it; a folder with anything else in it is left alone.
    """
    recorded: set[str] = set()
    removed: set[str] = set()
    for trial in state.trials.values():
        recorded |= {each.checkpoint for each in trial.recorded()}
        removed |= trial.removed
    unknown = {place for place in there - recorded - removed if _is_a_checkpoint(folder / place)}
    return (there & removed) | unknown


class Remover:
    """Removes folders one after the other, on its own thread, which ends when nothing is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def remove(self, places: Iterable[str]) -> None:
        """Queue folders for removal; the next driver tries those again that cannot be removed."""
        with self._lock:
            for place in places:
                self._queue.put(place)
            if self._thread is None and not self._queue.empty():
                self._thread = threading.Thread(target=self._work, name="remover", daemon=True)
                self._thread.start()

    def drain(self, seconds: float) -> bool:
        """Wait until all queued folders are removed; return whether they are."""
        with self._lock:
            if self._thread is None:
                return True
            done = threading.Event()
            self._queue.put(done)
        return done.wait(seconds)

    def _work(self) -> None:
        while True:
            # Under the lock, so that no folder is queued between the look and the thread's end.
            with self._lock:
                if self._queue.empty():
                    self._thread = None
                    return
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                shutil.rmtree(self._folder / item)
            except FileNotFoundError:
                pass
            except OSError as error:
                log.warning("%s cannot be removed: %s", item, error.strerror)


def _folders(place: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(place) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _bytes_in(place: Path) -> int:
    with os.scandir(place) as entries:
        return sum(entry.stat().st_size for entry in entries)


def _is_a_checkpoint(place: Path) -> bool:
    try:
        return {each.name for each in place.iterdir()} <= _FILES
    except FileNotFoundError:
        return False
