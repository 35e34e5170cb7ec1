"""Run commands in a host beside the tests."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tests.cluster.namespaces import children


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until a condition holds, and return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


class Program:
    """One command running in a host; its output goes to `log`."""

    def __init__(self, spawn: Callable[[BinaryIO], "subprocess.Popen[bytes]"], log: Path) -> None:
        self._spawn = spawn  # nsenter, which waits for the command and passes on how it ended
        self.log = log
        """Shared with earlier programs of that name."""
        self.restart()

    def restart(self) -> None:
        """Start the command, once more if it has ended."""
        with self.log.open("ab") as out:
            self._before = out.tell()
            self._entry = self._spawn(out)

    @property
    def pid(self) -> int:
        """The command's process id on the machine."""
        found: list[int] = []

        def find_children() -> bool:
            found[:] = children(self._entry.pid)
            return bool(found) or self._entry.poll() is not None

        wait_for(find_children, 10, "a process in the host")
        if not found:
            raise ProcessLookupError(f"it ended with {self._entry.returncode}: {self.tail()}")
        return found[0]

    @property
    def pid_inside(self) -> int:
        """The command's process id within its host."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("NSpid")).split()[-1])

    @property
    def running(self) -> bool:
        return self._entry.poll() is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the command."""
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for the exit code; a signal counts as 128 and its number."""
        code = self._entry.wait(seconds)
        return 128 - code if code < 0 else code

    def tail(self, lines: int = 30) -> str:
        """Return the end of the command's output."""
        return "\n".join(self._said().splitlines()[-lines:])

    def says(self, words: str) -> bool:
        return words in self._said()

    def _said(self) -> str:
        return self.log.read_bytes()[self._before :].decode(errors="replace")
