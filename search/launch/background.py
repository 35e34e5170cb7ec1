"""Background launches: what was started, where, and whether it still runs.

The record of a launch is written beside the search before the ledger is. It names a process of a
host, or a job of a Ray cluster (`search.launch.ray_job`); the search's outcome is in its ledger.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal

from search.core import import_path
from search.core.errors import EnvironmentSetupError, UsageError
from search.core.lease import already_driven_error, find_live_driver
from search.core.paths import home, ledger_path, search_folder
from search.launch import exit_record
from search.launch.exit_record import ExitRecord
from search.launch.settings import LaunchRequest
from spkmodel.worker.processes import process_start

LOG = "launch.log"
"""What a launch in the background says."""

_RECORD = "detached.json"
_EARLY_SECONDS = 12.0
"""How long a launch in the background is watched: a mistake is told at once."""
_TAIL_LINES = 8


@dataclass(frozen=True, kw_only=True)
class BackgroundLaunch:
    """The last launch in the background."""

    kind: Literal["process", "job"]
    by: str
    host: str = ""
    pid: int = 0
    started: str = ""
    """Of a process: when it began, as `spkmodel.worker.processes.process_start` counts."""
    address: str = ""
    """Of a job: where its cluster takes jobs."""
    submission_id: str = ""
    token: str = ""
    """Tells this launch from others of the search."""
    ended: ExitRecord | None = None
    """How it ended, if it could say so; it is in a file of its own."""

    @property
    def description(self) -> str:
        """The process or job, for messages."""
        if self.kind == "job":
            return f"Ray job {self.submission_id} at {self.address}"
        return f"process {self.pid} on {self.host}"

    def is_running(self) -> bool | None:
        """Whether it is at work, or about to be; None if that cannot be told from here."""
        if self.ended is not None:
            return False
        if self.kind == "job":
            from search.launch import ray_job

            return ray_job.is_running(self)
        if self.host != socket.gethostname():
            return None
        return process_start(self.pid) == self.started


def read(name: str) -> BackgroundLaunch | None:
    """Return the record of a search's last background launch; None if there was none."""
    folder = search_folder(name)
    try:
        record = BackgroundLaunch(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None
    return dataclasses.replace(record, ended=exit_record.read(folder, record.token))


def write(name: str, record: BackgroundLaunch) -> None:
    """Write the record of what was started."""
    folder = search_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{_RECORD}.{os.getpid()}"
    fields = asdict(record)
    del fields["ended"]
    beside.write_text(json.dumps(fields), encoding="utf-8")
    beside.replace(folder / _RECORD)


def arguments(request: LaunchRequest) -> list[str]:
    """The words of a command line that asks for the same; no secret is in them.

    `tracking_uri` may hold a password, and every user of a machine sees command lines: it is left
    to the environment.
    """
    words = ["launch", request.space]
    for field in dataclasses.fields(request):
        value = getattr(request, field.name)
        if field.name in ("space", "tracking_uri") or value is None or value is False:
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if value is not True:
            words.append(",".join(value) if isinstance(value, tuple) else str(value))
    return words


def launch(request: LaunchRequest, by: str) -> BackgroundLaunch:
    """Launch in the background: as a job of the cluster that is asked for, or on this machine.

    Raises:
        UsageError: the space is wrong, or nothing would be started.
        EnvironmentSetupError: somebody drives the search, or the cluster takes no jobs.
        SpksearchError: it ended at once.
    """
    from search.space import loader

    if request.dry_run:
        raise UsageError("--dry-run starts nothing: leave out --detach")
    space = loader.load(request.space)
    loader.branches(space)
    name = request.name or space.name
    request = dataclasses.replace(request, name=name)
    address = request.address or os.environ.get("RAY_ADDRESS")
    with _one_after_the_other(name):
        _check_alone(name)
        if address not in (None, "", "local"):
            from search.launch import ray_job

            _require_writable(name)
            record = ray_job.submit(name, request, str(address), space.path, by)
            write(name, record)
            return record
        process, record, begin = _start_here(name, request, by)
    _watch(name, process, record.token, begin)
    return record


@contextmanager
def _one_after_the_other(name: str) -> Iterator[None]:
    """Of two that launch at once, the second sees what the first has started."""
    folder = search_folder(name)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a folder that cannot be written is told later
            folder.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((folder / "detached.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_alone(name: str) -> None:
    """Refuse to launch what is driven, or launched, already."""
    driver = find_live_driver(search_folder(name))
    if driver is not None:
        raise already_driven_error(search_folder(name), driver)
    before = read(name)
    if before is not None and before.is_running():
        raise EnvironmentSetupError(
            f"search {name!r} is being launched already, by {before.description}; "
            f"spksearch logs {name}"
        )


def _require_writable(name: str) -> None:
    """A job that nobody here could find again is not started."""
    folder = search_folder(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentSetupError(
            f"what is started on the cluster is put down in {folder}, which cannot be made here: "
            f"{error.strerror}; SPKSEARCH_HOME is a folder that the cluster's machines and this "
            "one know by the same path"
        ) from error


# --- on this machine -------------------------------------------------------------------------


def _start_here(
    name: str, request: LaunchRequest, by: str
) -> "tuple[subprocess.Popen[bytes], BackgroundLaunch, int]":
    """Launch in a process of its own session, which outlives this one and its terminal.

    Returns:
        The process, its record, and where its words begin in the log.

    Raises:
        EnvironmentSetupError: its log cannot be written.
    """
    folder = search_folder(name)
    log_path, token = folder / LOG, secrets.token_hex(8)
    environment = import_path.child_environment() | {"SPKSEARCH_HOME": str(home())}
    environment |= exit_record.environment(name, token)
    if request.tracking_uri:
        environment["MLFLOW_TRACKING_URI"] = request.tracking_uri
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            begin = log.tell()
            process = subprocess.Popen(
                import_path.module_command("search", *arguments(request)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
    except OSError as error:
        raise EnvironmentSetupError(
            f"cannot launch in the background with {log_path}: {error.strerror}; set "
            "SPKSEARCH_HOME to a folder that can be written"
        ) from error
    started = process_start(process.pid) or ""
    me = socket.gethostname()
    record = BackgroundLaunch(
        kind="process", by=by, host=me, pid=process.pid, started=started, token=token
    )
    write(name, record)
    return process, record, begin


def _watch(name: str, process: "subprocess.Popen[bytes]", token: str, begin: int) -> None:
    """Until it drives the search, or for a while.

    Raises:
        SpksearchError: it ended at once: its last words, and its exit code.
    """
    log_path = search_folder(name) / LOG
    end = time.monotonic() + _EARLY_SECONDS
    while time.monotonic() < end:
        code = process.poll()
        if code is not None:
            if code:
                said = log_path.read_bytes()[begin:].decode(errors="replace").splitlines()
                tail = exit_record.of_process(token, code, "\n".join(said[-_TAIL_LINES:]))
                ended = exit_record.read(search_folder(name), token) or tail
                raise ended.problem(f"the launch of search {name!r}")
            return
        driver = find_live_driver(search_folder(name))
        if driver is not None and driver.pid == process.pid:
            return
        time.sleep(0.1)


def end_early(name: str) -> BackgroundLaunch | None:
    """End a launch that drives nothing yet, and so hears no request; None if there is none.

    Raises:
        EnvironmentSetupError: it is on another machine, or on a cluster that does not answer.
    """
    launched = read(name)
    if launched is None or find_live_driver(search_folder(name)) is not None:
        return None
    runs = launched.is_running()
    if runs is None and not ledger_path(name).is_file():
        raise EnvironmentSetupError(
            f"{launched.description} prepares search {name!r}, and cannot be ended from here: "
            + (
                f"spksearch stop {name} on that machine does"
                if launched.kind == "process"
                else "its cluster does not answer"
            )
        )
    if not runs:
        return None
    # Its own words, if it comes to them, take the place of these.
    exit_record.write(name, launched.token, 128 + signal.SIGTERM, "ended by spksearch stop")
    if launched.kind == "job":
        from search.launch import ray_job

        ray_job.stop(launched)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(launched.pid, signal.SIGTERM)
    return launched
