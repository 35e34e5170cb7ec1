"""What packing has found out about each file: a record of fixed size, kept in files of records."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spkmodel.core.temporary import temporary_beside

RECORD = np.dtype(
    [
        ("key", "<u8", 2),  # of the path
        ("size", "<i8"),
        ("changed_ns", "<i8"),
        ("samples", "<i8"),  # in the store; UNUSABLE or MARK
        ("divided_by", "<f8"),
        ("is_silent", "u1"),
        ("sha256", "u1", 32),  # of the file
    ],
    align=True,
)
UNUSABLE = -1
MARK = -2
"""No file, but a point up to which the audio is on disk: `size` counts the records before it, and
`sha256` names the start of the machine."""

_MISSING = -1


def identify_paths(paths: Sequence[str]) -> np.ndarray:
    """Return what names each path in records, of shape (paths, 2)."""
    digests = b"".join(
        hashlib.blake2b(os.fsencode(path), digest_size=16).digest() for path in paths
    )
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2)


def stat_files(folder: Path, paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return size and time of change of files; a size of -1 for one that cannot be asked."""
    sizes = np.full(len(paths), _MISSING, dtype=np.int64)
    changed = np.zeros(len(paths), dtype=np.int64)
    top = os.fspath(folder)
    for row, path in enumerate(paths):
        try:
            # Not by pathlib: it takes longer than the call itself.
            found = os.stat(f"{top}/{path}")  # noqa: PTH116
        except OSError:
            continue
        sizes[row], changed[row] = found.st_size, found.st_mtime_ns
    return sizes, changed


def read_records(path: Path) -> np.ndarray:
    """Read a file of records; a torn last one is left out, a missing file has none."""
    try:
        raw = path.read_bytes()
    except OSError:
        return np.zeros(0, dtype=RECORD)
    return np.frombuffer(raw, dtype=RECORD, count=len(raw) // RECORD.itemsize)


def find_records(records: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the place of each key's record, the last one if there are several; -1 without one."""
    if not len(records):
        return np.full(len(keys), -1, dtype=np.int64)
    order = np.argsort(records["key"][:, 0], kind="stable")
    ordered = records["key"][order, 0]
    places = np.searchsorted(ordered, keys[:, 0], side="right") - 1
    found = order[np.maximum(places, 0)]
    # The first half tells paths apart, but for one chance in millions of corpora; both must agree.
    is_same = (places >= 0) & (records["key"][found] == keys).all(axis=1)
    return np.where(is_same, found, -1)


def remember(path: Path, records: np.ndarray) -> None:
    """Add records to those of a file, which is replaced in one step; newer ones stand for older."""
    older = read_records(path)
    kept = older[find_records(records, older["key"]) < 0] if len(older) else older
    beside = temporary_beside(path)
    try:
        with beside.open("wb") as out:
            out.write(np.concatenate([kept, records]).tobytes())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
