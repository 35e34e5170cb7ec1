"""Take the kernel's lock on a search's folder, which ends with the process that holds it."""

import errno
import fcntl
import os
import time
from pathlib import Path

from search.core import lease

LOCK_FILE = "driver.lock"
_WAIT_SECONDS = 0.5
"""Longer than a process needs that only writes something down for the next driver."""
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system answers that offers no locks; the turns do without."""


def acquire_os_lock(folder: Path) -> int:
    """Lock `driver.lock` and return its open file descriptor; closing it releases the lock.

    Raises:
        EnvironmentSetupError: if another process of this host holds the lock, or one of any host
            where the file system carries locks.
    """
    # O_CLOEXEC: a child of the driver, such as a Ray worker, would otherwise keep the lock after
    # its death.
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait_for_lock(folder, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for_lock(folder: Path, descriptor: int) -> None:
    end = lease.monotonic_seconds() + _WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody holds it. That may be brief, so the answer is not final at once.
        except BlockingIOError:
            if lease.monotonic_seconds() >= end:
                owner = lease.read_recorded_driver(folder)
                raise lease.already_driven_error(folder, owner) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return
        else:
            return
        time.sleep(_WAIT_SECONDS / 10)
