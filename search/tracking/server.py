"""Start, share, revive and stop a local MLflow server on the home folder's store."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from search.core import import_path
from search.core.errors import EnvironmentSetupError
from search.core.paths import home, make_home
from search.core.redact import redact
from search.tracking import ports, server_access, server_app, server_guard
from search.tracking.server_access import HOST, answers
from search.tracking.server_record import ServerRecord, digest_store, read_record, write_record
from spkmodel.core.process_identity import process_start

READY_SECONDS = 120.0
"""A first start makes the database: 13 s measured on two busy cores, more on slow disks."""
_TAIL_LINES = 15


class Server:
    """A server that runs or is about to; several processes may use the same one.

    Only the process that started it ends it. When it ends, or is killed, `revive` puts another
    one in its place, on the same port and store, whoever had started the first.
    """

    def __init__(self, folder: Path, store: str, record: ServerRecord, pipe: int | None) -> None:
        self._folder = folder
        self._store = store
        self._record = record
        self._pipe = pipe
        self._guard: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()

    @property
    def folder(self) -> Path:
        """Return the home folder that it serves."""
        return self._folder

    @property
    def port(self) -> int:
        """Return the port on 127.0.0.1 where it listens."""
        return self._record.port

    @property
    def uri(self) -> str:
        """Return its address for clients and browsers."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Return the pid of the leader of its process group."""
        return self._record.pid

    @property
    def owned(self) -> bool:
        """Return whether this process started it, and so ends it."""
        return self._pipe is not None

    def alive(self) -> bool:
        """Return whether its processes live; not whether it answers."""
        if self._guard is not None:
            return self._guard.poll() is None
        return self._record.is_alive()

    def answers(self) -> bool:
        """Return whether it answers, and is ours."""
        return answers(self.port, server_access.read_credential(self._folder))

    def client_environment(self) -> dict[str, str]:
        """Return the variables with which MLflow's client in any process is let in."""
        return server_access.client_environment(self.uri, self._folder)

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it answers.

        Raises:
            EnvironmentSetupError: with the end of its log, if it ended or the time is up.
        """
        end = time.monotonic() + seconds
        while not self.answers():
            if not self.alive():
                raise EnvironmentSetupError(f"the MLflow server ended{self._log_tail()}")
            if time.monotonic() > end:
                raise EnvironmentSetupError(
                    f"the MLflow server gave no answer on port {self.port} within "
                    f"{seconds:.0f} s{self._log_tail()}"
                )
            time.sleep(0.1)

    def revive(self) -> None:
        """Start another server in its place if it is gone; do not wait until it answers."""
        with self._changing:
            if self.alive():
                return
            self._release_guard()
            ports.wait_until_is_free(self.port)
            other = start(self._folder, self.port, self._store)
            self._record, self._pipe, self._guard = other._record, other._pipe, other._guard

    def stop(self) -> None:
        """End it with every process of its group, if this process started it."""
        with self._changing:
            if self.owned:
                self._release_guard()
                _end_group(self._record)

    def kill(self) -> None:
        """Send SIGKILL to its process group, as a fault would; for tests of what follows."""
        os.killpg(self.pid, signal.SIGKILL)
        if self._guard is not None:
            self._guard.wait()

    def _release_guard(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if self._guard is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(server_guard.GRACE_SECONDS + 3)

    def _log_tail(self) -> str:
        path = _log_path(self._folder)
        with contextlib.suppress(OSError):
            lines = path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            if lines:
                return f"; the end of {path}:\n" + redact("\n".join(lines))
        return f"; its log {path} is empty"


def start(folder: Path | None = None, port: int | None = None, store: str | None = None) -> Server:
    """Return the running server of this home, or a new one that may not answer yet (`wait_ready`).

    Args:
        folder: the home folder; by default `$SPKSEARCH_HOME`.
        port: for a new server; by default the one it had last, else any that is free.
        store: database URI; by default sqlite in the home folder.

    Raises:
        EnvironmentSetupError: if the port is occupied or the folder cannot be written.
    """
    folder = (folder or home()).absolute()
    store = store or f"sqlite:///{folder / 'mlflow.db'}"
    with _start_lock(folder):
        running = find_running(folder, store)
        if running is not None:
            return running
        last = read_record(folder)
        if last is not None and last.is_alive() and not last.is_owned():
            _end_group(last)
        return _start_new(folder, ports.pick_port(port, last.port if last else None), store)


def find_running(folder: Path | None = None, store: str | None = None) -> Server | None:
    """Return the live server of this home, if there is one; it may still be starting.

    One whose owner has died is not counted: its guard is ending it.
    """
    folder = (folder or home()).absolute()
    store = store or f"sqlite:///{folder / 'mlflow.db'}"
    record = read_record(folder)
    if record is None or record.store != digest_store(store) or not record.is_alive():
        return None
    return Server(folder, store, record, pipe=None) if record.is_owned() else None


def _command(port: int) -> list[str]:
    command = import_path.module_command("search.tracking.server_app", "server", "--host", HOST)
    command += ["--port", str(port), "--app-name", server_app.APP_NAME]
    command += ["--workers", "1", "--serve-artifacts"]
    # Uvicorn puts its working folder first on the path unless told another one: here, none.
    command += ["--uvicorn-opts", f"--app-dir {os.devnull}"]
    # The default would also let "10.evil.example" in: its patterns match names, not addresses.
    return [*command, "--allowed-hosts", f"{HOST}:*,localhost:*,{HOST},localhost"]


def _start_new(folder: Path, port: int, store: str) -> Server:
    server_access.provide_credential(folder)
    reader, writer = os.pipe()
    with _log_path(folder).open("wb") as log:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", server_guard.__file__, *_command(port)],
            stdin=reader,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(folder, store),
            start_new_session=True,
        )
    os.close(reader)
    record = ServerRecord(
        guard.pid,
        process_start(guard.pid) or "",
        port,
        os.getpid(),
        process_start(os.getpid()) or "",
        digest_store(store),
    )
    write_record(folder, record)
    server = Server(folder, store, record, pipe=writer)
    server._guard = guard
    return server


def _environment(folder: Path, store: str) -> dict[str, str]:
    """Return the caller's environment with MLflow's own settings replaced by ours."""
    inherited = import_path.child_environment()
    kept = {key: value for key, value in inherited.items() if not key.startswith("MLFLOW_")}
    return kept | {
        # Not on the command line, where `ps` would show a password.
        "MLFLOW_BACKEND_STORE_URI": store,
        server_app.FOLDER_VARIABLE: str(folder),
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "mlartifacts"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
    }


def _end_group(record: ServerRecord) -> None:
    """Send SIGTERM, then SIGKILL, to the process group, whose leader must be the recorded one."""
    end = time.monotonic() + server_guard.GRACE_SECONDS
    if record.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, signal.SIGTERM)
    while record.is_alive() and time.monotonic() < end:
        time.sleep(0.05)
    if record.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, signal.SIGKILL)


@contextlib.contextmanager
def _start_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of starts: two commands started together make one server."""
    try:
        make_home(folder)
        lock = (folder / "mlflow-server.lock").open("w")
    except OSError as problem:
        raise EnvironmentSetupError(
            f"cannot write in {folder}: {problem.strerror}; set SPKSEARCH_HOME to another folder"
        ) from problem
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _log_path(folder: Path) -> Path:
    return folder / "mlflow-server.log"
