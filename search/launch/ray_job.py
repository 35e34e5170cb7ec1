"""Launch as a job of a Ray cluster: the code travels, the state stays on shared storage.

The job's working folder holds this project's packages, and the space's file if it is one of yours;
it is bounded. Corpus and SPKSEARCH_HOME are paths that all machines of the cluster see. The job's
description, which everybody who reaches the cluster can read, holds no secret: tokens and passwords
are the business of each machine's environment.
"""

import dataclasses
import logging
import os
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from search.cluster import auth_token, connection, preflight
from search.core.errors import EnvironmentSetupError
from search.core.paths import CODE, home
from search.core.redact import redact
from search.data import location
from search.launch import exit_record
from search.launch.launch_record import BackgroundLaunch, format_arguments
from search.launch.settings import LaunchRequest
from search.space.loader import USER_SPACES

_PACKAGES = ("search", "spaces", "spkmodel")
_MOST_BYTES = 32 << 20
_POLL_SECONDS = 1.0
_PASSED_ON = ("SPKSEARCH_NOISE", "SPKSEARCH_ROOMS")
_HAS_ALL = (
    "import importlib.util as u; "
    "raise SystemExit(not all(map(u.find_spec, ('ray', 'torch', 'mlflow', 'typer'))))"
)
_CODE_HERE = 'export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"'
"""The job's working folder holds the code (`_stage`), and `-P` leaves it off the path."""
_OVER = ("STOPPED", "SUCCEEDED", "FAILED")


def submit(
    name: str, request: LaunchRequest, address: str, space: Path, by: str
) -> BackgroundLaunch:
    """Submit this launch to the cluster as a job.

    Args:
        name: the search's.
        request: what is launched.
        address: of the cluster, as `--address` takes it, or where it takes jobs (http://HOST:8265).
        space: the space's file.
        by: who launches.

    Raises:
        EnvironmentSetupError: the cluster takes no jobs, or a secret would travel.
    """
    tracking_uri = request.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or ""
    if redact(tracking_uri) != tracking_uri:
        raise EnvironmentSetupError(
            "the tracking server's URI holds a password, which a job's description would show to "
            "everybody on the cluster; leave it out of the URI and set MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD where the cluster's processes start"
        )
    submission_id = f"spksearch-{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    with tempfile.TemporaryDirectory(prefix="spksearch-job-") as folder, _cluster_errors(address):
        own = _stage(Path(folder), space)
        _client(address, insecure=request.insecure).submit_job(
            entrypoint=entrypoint(request, own),
            submission_id=submission_id,
            runtime_env={
                "working_dir": folder,
                "env_vars": environment(tracking_uri)
                | exit_record.environment(name, submission_id),
            },
            metadata={"search": name, "by": by},
        )
    return BackgroundLaunch(
        kind="job", by=by, address=address, submission_id=submission_id, token=submission_id
    )


def entrypoint(request: LaunchRequest, own_space: str) -> str:
    """Return the job's command; it runs on its own cluster, so no address is in it.

    A job is run by a shell whose first Python need not be the one that Ray runs with.
    """
    request = dataclasses.replace(
        request,
        space=own_space or request.space,
        corpus=location.parse_location(location.format_location(request.corpus)),
        noise=request.noise and request.noise.absolute(),
        rooms=request.rooms and request.rooms.absolute(),
        address=None,
    )
    words = shlex.join(["-P", "-m", "search", *format_arguments(request)])
    pythons = " ".join(shlex.quote(each) for each in ("python", sys.executable, "python3"))
    return (
        f"{_CODE_HERE}; for python in {pythons}; do "
        f'"$python" -P -c {shlex.quote(_HAS_ALL)} 2>/dev/null && exec "$python" {words}; done; '
        'echo "no Python here has Ray, PyTorch and MLflow" >&2; exit 3'
    )


def environment(tracking_uri: str) -> dict[str, str]:
    """Return the job's environment variables: where things are, and nothing secret."""
    passed_on = {key: os.environ[key] for key in _PASSED_ON if os.environ.get(key)}
    uri = {"MLFLOW_TRACKING_URI": tracking_uri} if tracking_uri else {}
    return {"SPKSEARCH_HOME": str(home()), "PYTHONUNBUFFERED": "1", **passed_on, **uri}


def is_running(launched: BackgroundLaunch) -> bool | None:
    """Return whether the job waits or runs; None if the cluster does not answer."""
    try:
        return _status(launched) not in _OVER
    except EnvironmentSetupError:
        return None


def log(launched: BackgroundLaunch, follow: bool) -> Iterator[str]:
    """Yield the job's log; with `follow` until it has ended."""
    return _pieces(launched, follow)


def stop(launched: BackgroundLaunch) -> None:
    """End the job, which drives no search yet."""
    with _cluster_errors(launched.address):
        _client(launched.address).stop_job(launched.submission_id)


def _pieces(launched: BackgroundLaunch, follow: bool) -> Iterator[str]:
    told = 0
    while True:
        over = not follow or _status(launched) in _OVER
        with _cluster_errors(launched.address):
            said = str(_client(launched.address).get_job_logs(launched.submission_id))
        if len(said) > told:
            yield said[told:]
            told = len(said)
        if over:
            return
        time.sleep(_POLL_SECONDS)


def _status(launched: BackgroundLaunch) -> str:
    with _cluster_errors(launched.address):
        return str(_client(launched.address).get_job_status(launched.submission_id).value)


def _client(address: str, *, insecure: bool = True) -> Any:
    # From another machine the way to the cluster may be another one, such as a forwarded port.
    address = os.environ.get("RAY_API_SERVER_ADDRESS") or address
    connection.prepare_environment()
    if address.startswith(("http://", "https://")):
        auth_token.set_auth_mode("token" if auth_token.find_token() else "disabled")
        if not insecure:
            preflight.require_guarded_jobs(address)
    else:
        preflight.prepare_to_join(address, insecure=insecure)
    from ray.job_submission import JobSubmissionClient

    for noisy in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return JobSubmissionClient(address)


@contextmanager
def _cluster_errors(address: str) -> Iterator[None]:
    """Turn what goes wrong with a cluster into one message."""
    try:
        yield
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        words = " ".join(redact(str(error)).split())[:300]
        raise EnvironmentSetupError(
            f"the Ray cluster at {address} takes no jobs: {words}; RAY_AUTH_TOKEN_PATH names the "
            "file with its token, and RAY_API_SERVER_ADDRESS where it takes jobs "
            "(http://HOST:8265), if that is another place from here"
        ) from error


# --- the code --------------------------------------------------------------------------------


def _stage(folder: Path, space: Path) -> str:
    """Copy the packages, and a space of the user's; return its path there, or an empty string."""
    for package in _PACKAGES:
        shutil.copytree(
            CODE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    number = version("spksearch")
    about = folder / f"spksearch-{number}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: spksearch\nVersion: {number}\n", encoding="utf-8"
    )
    own = ""
    if not space.resolve().is_relative_to(CODE / "spaces"):
        (folder / USER_SPACES).mkdir()
        shutil.copy(space, folder / USER_SPACES / space.name)
        own = f"{USER_SPACES}/{space.name}"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > _MOST_BYTES:
        raise EnvironmentSetupError(
            f"the code of this project is {size >> 20} MB, and no more than {_MOST_BYTES >> 20} MB "
            f"travel with a job; what is large in {CODE / 'search'}, spaces or spkmodel?"
        )
    return own
