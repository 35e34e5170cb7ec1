"""Processes of a round: all that come from one, whoever their parent is by now, and their end."""

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
    """While it lasts, what descends from this process and lost its parent becomes its child."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel has no subreapers")
    try:
        yield
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def children(pid: int) -> list[int]:
    """The children of a process, zombies included; none if it is gone."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def descendants(pid: int) -> list[int]:
    """All below a process."""
    found: list[int] = []
    ahead = children(pid)
    while ahead:
        found += ahead
        ahead = [below for each in ahead for below in children(each)]
    return found


def command(pid: int) -> str:
    """The command line of a process; empty if it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def working(pid: int) -> list[int]:
    """The processes below `pid` that train a trial."""
    return [each for each in descendants(pid) if command(each).startswith("ray::ResourceTrainable")]


AGENTS = ("ray::RuntimeEnvAgent", "ray::DashboardAgent")
"""Ray's own, which after the death of a local head first try to tell that head, up to a minute."""
AGENT_SECONDS = 90.0


class ProcessWatch:
    """Which children this process had before a round."""

    dying_agents: ClassVar[dict[int, float]] = {}
    """Agents of earlier rounds' dead heads, and since when they have been seen without one."""

    def __init__(self, others: Callable[[], set[int]] = set) -> None:
        """`others`: children that are no part of the round, however late they began."""
        self._before = set(children(os.getpid()))
        self._others = others

    def left(self, seconds: float = 10.0) -> list[str]:
        """What of the round still runs, after some patience, as `pid command`; it is then ended."""
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
        """Agents that should have ended by now; those that did are forgotten."""
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
    """End those of dead heads that are still there, where nobody waits for them."""
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
