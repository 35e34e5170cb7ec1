"""Enter Linux namespaces, and find the processes in them."""

import contextlib
import ctypes
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

NAMESPACES = ("net", "pid", "mnt", "uts", "ipc")
UNSHARE = ("unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child")
_CLONE_NEWNET = 0x40000000


def first_process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> tuple["subprocess.Popen[str]", int]:
    """Make namespaces; return how to enter them, and the machine's id of their first process."""
    with log.open("a") as errors:
        entry = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    said = entry.stdout.readline()
    entry.stdout.close()
    if not said:
        entry.stdin.close()
        code = entry.wait(10)
        raise RuntimeError(f"no namespaces: {command[0]} ended with {code}: {log.read_text()}")
    return entry, int(said)


def namespaces(pid: int) -> dict[str, str]:
    """Return the namespaces of a process, by kind."""
    return {kind: str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in NAMESPACES}


def began(pid: int) -> float:
    """Return the seconds from the machine's start to a process's start."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19]) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def all_processes() -> list[int]:
    """Return the processes of the whole machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


@contextlib.contextmanager
def in_network_of(pid: int) -> Iterator[None]:
    """Let sockets that the calling thread opens belong to that process's network."""
    libc = ctypes.CDLL(None, use_errno=True)
    own, other = Path("/proc/thread-self/ns/net"), Path(f"/proc/{pid}/ns/net")
    with own.open() as ours, other.open() as theirs:
        _set_network(libc, theirs.fileno())
        try:
            yield
        finally:
            _set_network(libc, ours.fileno())


def answers(pid: int, url: str, headers: Mapping[str, str] | None) -> int | None:
    """Return the status of a request made in that process's network; None if nothing answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with in_network_of(pid):
        try:
            with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=10) as it:
                return it.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None


def _set_network(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
