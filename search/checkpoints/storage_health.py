"""Find out whether the storage can take what a search is about to write.

The causes of a hold, and what people are told. A search that waits goes on by
itself once `probe` has written there for real.
"""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Cause = Literal["disk", "storage"]

RESERVE_BYTES = 1_000_000
"""For the ledger and the log files, beside what checkpoints take."""

TROUBLES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
"""What a storage answers that cannot take or give what it should."""

_NUMBER = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)")
"""In the words of Python and of Rust, which safetensors speaks."""

_PROBE = ".probe-"

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class StorageError:
    """Why no attempt should be started."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Disk:
    """Free space of a file system, and whether it is read-only."""

    free_bytes: int
    """That we may use; root's reserve is not among them."""
    read_only: bool


def classify_error(number: int, where: str) -> StorageError:
    """Return what an error of the operating system means for the search."""
    cause: Cause = "disk" if number in _FULL else "storage"
    return StorageError(cause, f"{where}: {os.strerror(number).lower()}")


def error_number(words: str) -> int:
    """Return the error number of `TROUBLES` that an error's text names; 0 for none."""
    numbers = [int(python or rust) for python, rust in _NUMBER.findall(words)]
    return next((number for number in numbers if number in TROUBLES), 0)


def disk(folder: Path) -> Disk:
    """Return how much room there is where the search writes.

    Raises:
        OSError: the file system does not answer.
    """
    answer = os.statvfs(folder)
    return Disk(answer.f_bavail * answer.f_frsize, bool(answer.f_flag & os.ST_RDONLY))


def find_storage_error(now: Disk, needed_bytes: int) -> StorageError | None:
    """Return why the file system cannot take `needed_bytes` more; None if it can."""
    if now.read_only:
        return StorageError("storage", "the storage is read-only")
    if now.free_bytes < needed_bytes:
        return StorageError(
            "disk",
            f"the disk is nearly full: {size(now.free_bytes)} free, checkpoints need "
            f"{size(needed_bytes)}",
        )
    return None


def probe(folder: Path, count: int) -> StorageError | None:
    """Write and remove a file as large as a checkpoint, which shows quotas and failing disks."""
    path = folder / f"{_PROBE}{os.getpid()}"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, max(1, count))
            os.pwrite(descriptor, b"\0", 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            path.unlink()
    except OSError as error:
        return classify_error(error.errno or errno.EIO, str(folder))
    return None


def remove_temporary_files(folder: Path) -> None:
    """Remove the files of drivers that were killed during `probe`."""
    for left in folder.glob(f"{_PROBE}*"):
        left.unlink(missing_ok=True)


def size(count: int) -> str:
    """Format a number of bytes."""
    if count >= 999_500_000:
        return f"{count / 1e9:.3g} GB"
    return f"{count / 1e6:.3g} MB"
