"""Name temporary files and folders by the process that owns them, and find those it left behind.

A process that is killed cannot tidy up. The next one that works in the same folder does it, since
each name says whose it is: of which host, and of which process by number and start. What belongs to
a living process, or to another host, is left alone.
"""

import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spkmodel.core.process_identity import process_start

_NAME = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})_(?P<pid>\d+)_(?P<start>[\w-]*)_[0-9a-f]{8}\.tmp")


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A temporary file or folder whose process is gone."""

    path: Path
    pid: int
    bytes: int
    changed: float
    """Unix time of its last change."""


def temporary_beside(path: Path) -> Path:
    """Return a new name beside `path`, for what will be renamed to it when it is whole."""
    return path.with_name(f".{path.name}.{_owner()}_{secrets.token_hex(4)}.tmp")


def find_abandoned(folder: Path) -> Iterator[Abandoned]:
    """Yield what ended processes of this host left directly in a folder."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        match = _NAME.fullmatch(entry.name)
        if match is None or match["host"] != _host():
            continue
        start = process_start(int(match["pid"]))
        # A reused number has another start.
        if start is None or _plain(start) != match["start"]:
            path = Path(entry.path)
            found = entry.stat(follow_symlinks=False)
            yield Abandoned(path, int(match["pid"]), _size(path), found.st_mtime)


def remove_abandoned(folder: Path) -> int:
    """Remove what ended processes left directly in a folder; return how many things that were."""
    removed = 0
    for each in find_abandoned(folder):
        if each.path.is_dir() and not each.path.is_symlink():
            shutil.rmtree(each.path, ignore_errors=True)
        else:
            each.path.unlink(missing_ok=True)
        removed += not each.path.exists()
    return removed


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _owner() -> str:
    # Asked anew each time: a child of a fork is another process.
    return f"{_host()}_{os.getpid()}_{_plain(process_start(os.getpid()) or '')}"


def _plain(start: str) -> str:
    return re.sub(r"[^\w-]", "", start).replace("_", "-")


def _size(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
