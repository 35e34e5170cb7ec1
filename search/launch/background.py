"""Launch a search in the background, find out whether it runs, end one that still prepares.

It runs as a process of this host, or as a job of a Ray cluster (`search.launch.ray_job`). What was
started is in a record (`search.launch.launch_record`); the search's outcome is in its ledger.
"""

import contextlib
import dataclasses
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from search.core import import_path
from search.core.errors import EnvironmentSetupError, UsageError
from search.core.lease import already_driven_error, find_live_driver
from search.core.paths import home, ledger_path, make_home, search_folder
from search.launch import exit_record, launch_record
from search.launch.launch_record import BackgroundLaunch, format_arguments
from search.launch.resources import require_asked_resources
from search.launch.settings import LaunchRequest, read_settings
from spkmodel.core.process_identity import process_start

LOG = "launch.log"
"""What a launch in the background says."""

_EARLY_SECONDS = 12.0
"""How long a launch in the background is watched: a mistake is told at once."""
_TAIL_LINES = 8


def launch(request: LaunchRequest, by: str) -> BackgroundLaunch:
    """Launch in the background: as a job of the cluster that is asked for, or on this machine.

    Raises:
        UsageError: the space is wrong, or nothing would be started.
        EnvironmentSetupError: somebody drives the search, or the cluster takes no jobs.
        SpksearchError: it ended at once.
    """
    from search.space import loader, trial_walk

    if request.dry_run:
        raise UsageError("--dry-run starts nothing: leave out --detach")
    trial_walk.require_end(request.space)
    space = loader.load(request.space)
    loader.branches(space)
    name = request.name or space.name
    request = dataclasses.replace(request, name=name)
    address = request.address or os.environ.get("RAY_ADDRESS")
    with _launch_lock(name):
        _require_not_driven(name)
        require_asked_resources(request, read_settings(name))
        if address not in (None, "", "local"):
            from search.launch import ray_job

            _require_writable(name)
            record = ray_job.submit(name, request, str(address), space.path, by)
            launch_record.write(name, record)
            return record
        process, record, begin = _start_here(name, request, by)
    _watch_start(name, process, record.token, begin)
    return record


@contextmanager
def _launch_lock(name: str) -> Iterator[None]:
    """Hold the lock of launches: of two at once, the second sees what the first has started."""
    folder = search_folder(name)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a folder that cannot be written is told later
            make_home(folder.parent)
            folder.mkdir(exist_ok=True)
            lock = held.enter_context((folder / "detached.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_not_driven(name: str) -> None:
    """Refuse to launch what is driven, or launched, already."""
    driver = find_live_driver(search_folder(name))
    if driver is not None:
        raise already_driven_error(search_folder(name), driver)
    before = launch_record.read(name)
    if before is not None and is_running(before):
        raise EnvironmentSetupError(
            f"search {name!r} is being launched already, by {before.description}; "
            f"spksearch logs {name}"
        )


def _require_writable(name: str) -> None:
    """Refuse a job that nobody here could find again: its record cannot be written."""
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
                import_path.module_command("search", *format_arguments(request)),
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
    launch_record.write(name, record)
    return process, record, begin


def _watch_start(name: str, process: "subprocess.Popen[bytes]", token: str, begin: int) -> None:
    """Watch a launch until it drives the search, or for a while.

    Most mistakes show in the first seconds: who typed the command is told at once, and need not
    look into a log.

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
                tail = exit_record.from_process(token, code, "\n".join(said[-_TAIL_LINES:]))
                ended = exit_record.read(search_folder(name), token) or tail
                raise ended.problem(f"the launch of search {name!r}")
            return
        driver = find_live_driver(search_folder(name))
        if driver is not None and driver.pid == process.pid:
            return
        time.sleep(0.1)


def is_running(launched: BackgroundLaunch) -> bool | None:
    """Return whether the launch runs or is starting; None if that is unknown on this machine."""
    if launched.ended is not None:
        return False
    if launched.kind == "job":
        from search.launch import ray_job

        return ray_job.is_running(launched)
    if launched.host != socket.gethostname():
        return None
    return process_start(launched.pid) == launched.started


def end_early(name: str) -> BackgroundLaunch | None:
    """End a launch that does not drive the search yet, and so reads no requests; None without one.

    Raises:
        EnvironmentSetupError: it is on another machine, or on a cluster that does not answer.
    """
    launched = launch_record.read(name)
    if launched is None or find_live_driver(search_folder(name)) is not None:
        return None
    runs = is_running(launched)
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
