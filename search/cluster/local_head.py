"""Start a Ray head on this machine, watch its processes, end them for certain.

Ray gives a head 30 s to start, which a busy machine exceeds, and says that its own processes have
died only to who asks something of them.
"""

import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search.core import signals
from search.core.environment_seconds import read_seconds
from search.core.errors import EnvironmentSetupError
from search.core.process_tree import list_ray_processes
from spkmodel.core.process_identity import process_start

log = logging.getLogger(__name__)

START = "SPKSEARCH_RAY_START_SECONDS"
"""The environment's: how long a head may take to start, before it is started once more."""

START_SECONDS = 180.0
"""Unless the environment says otherwise: 22 s measured at load 8 on two processors."""
_TRIES = 2
_RAYS_SECONDS = 30.0
"""What Ray waits for its raylet in any case."""
_POLL_SECONDS = 0.5
_GONE_SECONDS = 5.0
_ENDS = ("out", "err")
_KEPT_LINES = 100
"""Of each log of a head that was lost."""

_VITAL = ("gcs_server", "raylet")
"""Without them nothing starts any more. The raylet ends by itself when one of its agents does."""


class Process(Protocol):
    """What is used of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code; None while it lives."""
        ...


@dataclass(frozen=True)
class LocalHead:
    """The head that this process has started."""

    processes: Mapping[str, Process]
    """By Ray's name of their kind: the vital ones."""
    session_folder: Path
    """Where its processes write."""

    @classmethod
    def from_ray(cls) -> "LocalHead":
        """Return the head to which this process is connected."""
        from ray._private import worker

        # Ray has no public way to it.
        node = worker._global_node
        started = node.all_processes
        vital = {kind: started[kind][0].process for kind in _VITAL if kind in started}
        return cls(vital, Path(node.get_session_dir_path()))

    def find_ended(self) -> str:
        """Say which of its processes has ended, and how; empty while all live."""
        for kind, process in self.processes.items():
            code = process.poll()
            if code is not None:
                how = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
                return f"Ray's {kind} on this machine (process {process.pid}) has ended ({how})"
        return ""

    def end(self, keep: Path) -> None:
        """End all of its processes, and remove what they wrote but for the last lines of the logs.

        Args:
            keep: the file that gets those lines.
        """
        end_processes(list_ray_processes())
        logs = [self.session_folder / "logs" / f"{kind}.{end}" for kind in _VITAL for end in _ENDS]
        with contextlib.suppress(OSError):
            keep.write_text("\n".join(_last_lines(log) for log in logs), encoding="utf-8")
        self.remove_session()

    def remove_session(self) -> None:
        """Remove what the head's processes wrote; those that still live are ended first."""
        end_processes(list_ray_processes())
        _remove_session(self.session_folder)


def find_ended_sessions(folder: Path) -> list[Path]:
    """Return the folders of heads whose driver and processes have ended."""
    found = []
    for session in sorted(folder.glob("session_2*_*")):
        pid = session.name.rpartition("_")[2]
        # Ray names a session by its driver; a number that another process has got is waited for.
        if pid.isdigit() and process_start(int(pid)) is None and not _is_used(session.name):
            found.append(session)
    return found


def remove_ended_sessions(folder: Path) -> None:
    """Remove the folders of heads whose driver was killed before it could."""
    for session in find_ended_sessions(folder):
        _remove_session(session)


def _remove_session(session: Path) -> None:
    shutil.rmtree(session, ignore_errors=True)
    latest = session.with_name("session_latest")
    if latest.is_symlink() and not latest.exists():
        latest.unlink(missing_ok=True)


def _is_used(session: str) -> bool:
    """Return whether a living process was started with a session's folder in its command line."""
    needle = session.encode()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if needle in command.read_bytes():
                return True
    return False


def _last_lines(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        lines = [str(error)]
    return "\n".join([f"--- {log.name}", *lines[-_KEPT_LINES:], ""])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# --- starting --------------------------------------------------------------------------------


def start(init: Callable[[], object]) -> None:
    """Start a head by `init`, with patience; once more if that fails.

    Args:
        init: calls `ray.init`.

    Raises:
        EnvironmentSetupError: it failed twice, with what to do.
        UsageError: the variable is no number of seconds.
    """
    seconds = read_seconds(START, START_SECONDS, least=_RAYS_SECONDS)
    for number in range(1, _TRIES + 1):
        there = set(list_ray_processes())
        try:
            with _patient_ray(seconds), signals.ignore_hangups():
                init()
        # Ray raises a bare Exception where its raylet does not come up in time.
        except Exception as error:
            _end_half_started(there)
            if number == _TRIES or isinstance(error, ValueError):
                raise EnvironmentSetupError(_describe_failure(error, number, seconds)) from error
            log.warning("Ray did not start, and is started once more: %s", _first_line(error))
        else:
            return


@contextmanager
def _patient_ray(seconds: float) -> Iterator[None]:
    """Give Ray's processes this long to come up; what the user has set for Ray stands."""
    from ray._private import services

    for name, value in {
        "RAY_gcs_server_port_wait_time_s": f"{seconds:.0f}",
        "RAY_agent_register_timeout_ms": f"{seconds * 1000:.0f}",
        # Of a worker, which on a busy machine imports torch for as long.
        "RAY_worker_register_timeout_seconds": f"{seconds:.0f}",
    }.items():
        os.environ.setdefault(name, value)
    original, end = services.get_node, time.monotonic() + seconds

    def get_node(*arguments: Any) -> Any:
        # Ray asks until 30 s have passed, which is written in its code: here the question waits,
        # unless the raylet has died, which is then Ray's to say.
        while True:
            try:
                return original(*arguments)
            except RuntimeError:
                if time.monotonic() > end or not list_ray_processes("raylet/raylet"):
                    raise
                time.sleep(_POLL_SECONDS)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = original


def _describe_failure(error: Exception, tries: int, seconds: float) -> str:
    times = ", tried twice" if tries > 1 else ""
    text = f"a local Ray head could not be started{times}: {_first_line(error).rstrip('.')}"
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    return (
        f"{text}; `spksearch doctor` tells more. If this machine is busy ({load}), launch again "
        f"when it is less so, or give Ray longer than {seconds:g} s: {START}={seconds * 3:g}"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


# --- ending ----------------------------------------------------------------------------------


def _end_half_started(there: set[int]) -> None:
    """End what a failed start has left, so that the next one does not meet it."""
    import ray

    with contextlib.suppress(Exception):
        ray.shutdown()
    end_processes(pid for pid in list_ray_processes() if pid not in there)


def end_processes(pids: "Iterator[int] | list[int]") -> None:
    """Kill processes of Ray's below this one, and wait for those that are its own children."""
    waited_for = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            waited_for.append(pid)
    end = time.monotonic() + _GONE_SECONDS
    while waited_for and time.monotonic() < end:
        waited_for = [pid for pid in waited_for if not _is_reaped(pid)]
        time.sleep(0.02)


def _is_reaped(pid: int) -> bool:
    """Return whether a process needs no waiting for: reaped, or the child of another."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
