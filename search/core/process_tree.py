"""Find the processes that this one has started, on a host with /proc."""

import contextlib
import os
from pathlib import Path


def list_children() -> list[int]:
    """Return the children of this process, also those that have ended and were not waited for."""
    return _read_children().get(os.getpid(), [])


def list_descendants(pid: int) -> list[int]:
    """Return all descendants of a process, parents before their children."""
    children = _read_children()
    found, row = [], children.get(pid, [])
    while row:
        found += row
        row = [child for each in row for child in children.get(each, [])]
    return found


def _read_children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    return children


def list_ray_processes(program: str = "") -> list[int]:
    """Return the descendants of this process that are Ray's, workers and agents among them.

    Args:
        program: only those whose command line holds this.
    """
    lines = {pid: _command_line(pid) for pid in list_descendants(os.getpid())}
    wanted = program.encode()
    return [pid for pid, line in lines.items() if _is_rays(line) and wanted in line]


def _command_line(pid: int) -> bytes:
    """Return the command line of a process; empty if it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_rays(line: bytes) -> bool:
    return line.startswith(b"ray::") or b"/ray/" in line
