"""Find and end the processes that a round leaves, whatever their parent is by now."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

_SET_CHILD_SUBREAPER = 36


@contextmanager
def adopting() -> Iterator[None]:
    """Become the parent of every descendant that loses its own, until the context ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel has no subreapers")
    try:
        yield
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def children(pid: int) -> list[int]:
    """Return the children of a process, zombies included; none if it is gone."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found: list[int] = []
    ahead = children(pid)
    while ahead:
        found += ahead
        ahead = [below for each in ahead for below in children(each)]
    return found


def command(pid: int) -> str:
    """Return the command line of a process; empty if it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def working(pid: int) -> list[int]:
    """Return the descendants of `pid` that train a trial."""
    return [each for each in descendants(pid) if command(each).startswith("ray::ResourceTrainable")]


AGENTS = ("ray::RuntimeEnvAgent", "ray::DashboardAgent")
"""Ray's own, which after the death of a local head first try to tell that head, up to a minute."""
AGENT_SECONDS = 90.0


class ProcessWatch:
    """Finds what a round has left running, by the children that there were before it."""

    dying_agents: ClassVar[dict[int, float]] = {}
    """Agents of earlier rounds' dead heads, and since when they have been seen without one."""

    def __init__(self, others: Callable[[], set[int]] = set) -> None:
        """`others`: children that are no part of the round, however late they began."""
        self._before = set(children(os.getpid()))
        self._others = others

    def left(self, seconds: float = 10.0) -> list[str]:
        """Wait for the round's processes; end and return those that still run, as `pid command`."""
        end = time.monotonic() + seconds
        while (left := self._alive()) and time.monotonic() < end:
            time.sleep(0.1)
        found = [*left, *self._too_old()]
        words = [f"{pid} {command(pid)[:200]}" for pid in found]
        for pid in found:
            _end(pid)
        self._alive()
        return words

    def _too_old(self) -> list[int]:
        """Return agents that should have ended by now; forget those that have."""
        for pid in list(self.dying_agents):
            if not command(pid).startswith(AGENTS):
                _reap(pid)
                del self.dying_agents[pid]
        now = time.monotonic()
        return [pid for pid, since in self.dying_agents.items() if now - since > AGENT_SECONDS]

    def _alive(self) -> list[int]:
        alive = []
        for child in set(children(os.getpid())) - self._before - self._others():
            if command(child).startswith(AGENTS):
                self.dying_agents.setdefault(child, time.monotonic())
            elif command(child):
                alive += [child, *descendants(child)]
            else:
                _reap(child)
        return alive


def end_agents() -> None:
    """End the agents of dead Ray heads that still run."""
    for pid in ProcessWatch.dying_agents:
        if command(pid).startswith(AGENTS):
            _end(pid)
        _reap(pid)
    ProcessWatch.dying_agents.clear()


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
