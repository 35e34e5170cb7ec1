"""A launch that nobody sits in front of: what was started, where, and whether it is still at it.

The record stands beside the search from before its ledger does. It names a process of a host, or a
job of a Ray cluster (`search.ray_jobs`); what became of the search is in its ledger.
"""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from search.errors import (
    EnvironmentProblem,
    NotFinished,
    NotFound,
    NoUsableTrial,
    SpksearchError,
    UsageProblem,
)
from search.home import home, search_folder
from search.lock import driven_by, driver_alive
from search.settings import LaunchRequest
from spkmodel.processes import process_start

LOG = "launch.log"
"""What a launch in the background says."""

_RECORD = "detached.json"
_EARLY_SECONDS = 12.0
"""How long a launch in the background is watched: a mistake is told at once."""
_TAIL_LINES = 8


@dataclass(frozen=True, kw_only=True)
class Detached:
    """The last launch in the background."""

    kind: Literal["process", "job"]
    by: str
    host: str = ""
    pid: int = 0
    started: str = ""
    """Of a process: when it began, as `spkmodel.processes.process_start` counts."""
    address: str = ""
    """Of a job: where its cluster takes jobs."""
    submission_id: str = ""

    @property
    def words(self) -> str:
        """For people."""
        if self.kind == "job":
            return f"Ray job {self.submission_id} at {self.address}"
        return f"process {self.pid} on {self.host}"

    def is_running(self) -> bool | None:
        """Whether it is at work, or about to be; None if that cannot be told from here."""
        if self.kind == "job":
            from search import ray_jobs

            return ray_jobs.is_running(self)
        if self.host != socket.gethostname():
            return None
        return process_start(self.pid) == self.started


_KINDS = (UsageProblem, EnvironmentProblem, NoUsableTrial, NotFound, NotFinished)


def of(name: str) -> Detached | None:
    """The last launch of a search in the background; None if there was none."""
    try:
        text = (search_folder(name) / _RECORD).read_text(encoding="utf-8")
        return Detached(**json.loads(text))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def write(name: str, record: Detached) -> None:
    """Put down what was started."""
    folder = search_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{_RECORD}.{os.getpid()}"
    beside.write_text(json.dumps(asdict(record)), encoding="utf-8")
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


def launch(request: LaunchRequest, by: str) -> Detached:
    """Launch in the background: as a job of the cluster that is asked for, or on this machine.

    Raises:
        UsageProblem: the space is wrong, or nothing would be started.
        EnvironmentProblem: somebody drives the search, or the cluster takes no jobs.
        SpksearchError: it ended at once.
    """
    from search import axes

    if request.dry_run:
        raise UsageProblem("--dry-run starts nothing: leave out --detach")
    space = axes.load(request.space)
    axes.branches(space)
    name = request.name or space.name
    driver = driver_alive(search_folder(name))
    if driver is not None:
        raise driven_by(search_folder(name), driver)
    before = of(name)
    if before is not None and before.is_running():
        raise EnvironmentProblem(
            f"search {name!r} is being launched already, by {before.words}; spksearch logs {name}"
        )
    request = dataclasses.replace(request, name=name)
    address = request.address or os.environ.get("RAY_ADDRESS")
    if address in (None, "", "local"):
        return start_here(name, request, by)
    from search import ray_jobs

    record = ray_jobs.submit(name, request, str(address), space.path, by)
    write(name, record)
    return record


# --- on this machine -------------------------------------------------------------------------


def start_here(name: str, request: LaunchRequest, by: str) -> Detached:
    """Launch in a process of its own session, which outlives this one and its terminal.

    Raises:
        SpksearchError: it ended at once: its last words, and its exit code.
        EnvironmentProblem: its log cannot be written.
    """
    folder = search_folder(name)
    log_path = folder / LOG
    environment = {**os.environ, "SPKSEARCH_HOME": str(home())}
    if request.tracking_uri:
        environment["MLFLOW_TRACKING_URI"] = request.tracking_uri
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            begin = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "search", *arguments(request)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot launch in the background with {log_path}: {error.strerror}; set "
            "SPKSEARCH_HOME to a folder that can be written"
        ) from error
    started = process_start(process.pid) or ""
    record = Detached(
        kind="process", by=by, host=socket.gethostname(), pid=process.pid, started=started
    )
    write(name, record)
    _watch(name, process, log_path, begin)
    return record


def _watch(name: str, process: "subprocess.Popen[bytes]", log_path: Path, begin: int) -> None:
    """Until it drives the search, or for a while."""
    end = time.monotonic() + _EARLY_SECONDS
    while time.monotonic() < end:
        code = process.poll()
        if code is not None:
            said = log_path.read_bytes()[begin:].decode(errors="replace").splitlines()
            if code:
                kind = next((each for each in _KINDS if each.exit_code == code), SpksearchError)
                raise kind("\n".join(said[-_TAIL_LINES:]) or f"it ended with exit code {code}")
            return
        driver = driver_alive(search_folder(name))
        if driver is not None and driver.pid == process.pid:
            return
        time.sleep(0.1)


def end_early(name: str) -> Detached | None:
    """End a launch that drives nothing yet, and so hears no request; None if there is none."""
    launched = of(name)
    if launched is None or driver_alive(search_folder(name)) is not None:
        return None
    if not launched.is_running():
        return None
    if launched.kind == "job":
        from search import ray_jobs

        ray_jobs.stop(launched)
    else:
        os.kill(launched.pid, signal.SIGTERM)
    return launched
