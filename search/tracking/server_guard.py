"""Run a command for as long as its owner lives, then end all of its processes.

Started by its path, as the leader of a new process group, with a pipe as stdin whose other end the
owner holds: however the owner ends, SIGKILL included, the pipe closes. (The kernel's parent-death
signal alone would follow the *thread* that started the server, and a driver's threads come and go.)
The guarded command in turn gets SIGTERM if the guard itself is killed.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

GRACE_SECONDS = 5.0
"""Between SIGTERM and SIGKILL."""
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _owner_gone() -> bool:
    """Wait up to a second for the owner's end of the pipe to close."""
    readable, _, _ = select.select([0], [], [], 1.0)
    return bool(readable) and os.read(0, 1) == b""


def guard(command: list[str]) -> int:
    """Run the command and return its exit code; its whole process group is gone afterwards."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    while child.poll() is None and not _owner_gone():
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    end = time.monotonic() + GRACE_SECONDS
    while child.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    # The command's own children may outlive it, and nothing tells when they are gone.
    if child.poll() is None:
        os.killpg(0, signal.SIGKILL)
    return child.wait()


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
