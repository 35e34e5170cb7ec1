"""Connect to Ray: start a head of our own on this machine, or join a running cluster.

A head that is started here listens on loopback alone, with a token that only its owner can read,
and is ended here; a cluster that is joined is left as it was found.
"""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search.cluster import auth_token, local_head, preflight
from search.cluster.local_resources import count_usable_cpus
from search.core import signals
from search.core.errors import EnvironmentSetupError
from search.core.paths import home, make_home, private_temporary_folder
from spkmodel.core.temporary import temporary_beside

log = logging.getLogger(__name__)

_OBJECT_STORE_BYTES = 128 << 20  # trials share a memory-mapped corpus, not Ray's object store


@dataclass(frozen=True)
class Cluster:
    """The resources that trials can have."""

    address: str
    cpus: float
    gpus: float
    local: bool
    """Whether this process started it, on this machine."""


def prepare_environment() -> None:
    """Set the environment variables that Ray reads; call before it is imported or started.

    By default Ray runs workers at nice 15, where any other process starves them, and a local head
    listens on every interface.
    """
    os.environ.update(
        {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            # The only switch that makes every port of a local head listen on 127.0.0.1.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            # The default of future versions; without it Ray warns at every start.
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        }
    )


@contextlib.contextmanager
def connect(
    address: str | None, gpus: float | None = None, *, insecure: bool = False
) -> Iterator[Cluster]:
    """Join the cluster at `address` (or `RAY_ADDRESS`), or start a head here.

    Raises:
        EnvironmentSetupError: if the cluster does not answer, refuses us, or is open to everybody
            (`search.cluster.preflight`).
    """
    prepare_environment()
    address = resolve_address(address)
    local = preflight.is_local(address)
    if local:
        _provide_token()
    import ray

    if ray.is_initialized():
        # A caller in this process is connected already, and closes its connection itself.
        yield _read_resources("joined", local=False)
        return
    if address is not None and not local:
        # Only now, after the check, does anything of ours reach the cluster.
        address = preflight.prepare_to_join(address, insecure=insecure).address
    try:
        with signals.restore_handlers():
            _init(address, gpus, local=local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise EnvironmentSetupError(_describe_failure(address, error)) from error
    except KeyboardInterrupt:
        ray.shutdown()  # a head may have been started in part
        raise
    head = local_head.LocalHead.from_ray() if local else None
    try:
        yield _read_resources(address or "local", local)
    finally:
        ray.shutdown()
        if head is not None:
            head.remove_session()


def resolve_address(address: str | None) -> str | None:
    """Return the address asked for, else that of `RAY_ADDRESS`; None for a head of our own."""
    return address or os.environ.get("RAY_ADDRESS") or None


def _init(address: str | None, gpus: float | None, *, local: bool) -> None:
    import ray

    from search.cluster.job_config import JobConfig

    if local:
        local_head.remove_ended_sessions(session_folder())
        local_head.start(lambda: _init_local(gpus))
        return
    ray.init(address=address, log_to_driver=False, logging_level="ERROR", job_config=JobConfig())


def _init_local(gpus: float | None) -> None:
    import ray

    from search.cluster.job_config import JobConfig

    ray.init(
        address="local",
        num_cpus=count_usable_cpus(),
        num_gpus=gpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=_OBJECT_STORE_BYTES,
        job_config=JobConfig(),
        # By default Ray's sockets and logs lie in a folder that every user can write to.
        _temp_dir=None if "RAY_TMPDIR" in os.environ else str(session_folder()),
    )


def session_folder() -> Path:
    """Return the folder below which our heads keep sockets and logs, a folder for each."""
    return Path(os.environ.get("RAY_TMPDIR") or private_temporary_folder() / "ray")


def _describe_failure(address: str | None, error: Exception) -> str:
    return (
        f"the Ray cluster at {address} answers, and this machine cannot join it: "
        f"{str(error).strip().splitlines()[0]}\n"
        "a search is driven from one of its machines: run this there, or make this machine one "
        f"that trains nothing: `ray start --address={address} --num-cpus=0 --num-gpus=0`"
    )


def _read_resources(address: str, local: bool) -> Cluster:
    import ray

    there = ray.cluster_resources()
    return Cluster(address, there.get("CPU", 0.0), there.get("GPU", 0.0), local)


def _provide_token() -> None:
    """Give a head of ours a token file with mode 0600, unless the user has chosen one.

    By default Ray writes a token that everybody on the machine can read.

    Raises:
        EnvironmentSetupError: if the token that the user has chosen is missing, or others can
            read it.
    """
    if os.environ.get("RAY_AUTH_MODE") == "disabled":
        return
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        auth_token.find_token()  # refuses one that others can read
        os.environ["RAY_AUTH_MODE"] = "token"
        return
    # Kept between searches, and shared by all searches of this home.
    path = home() / "ray-token"
    _write_token(path)
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def _write_token(path: Path) -> None:
    make_home(path.parent)
    beside = temporary_beside(path)
    # Written aside and then linked: two launches at once must not use half a token or two tokens.
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(beside, path)  # fails where a token is there already, which then stays
    except FileExistsError:
        auth_token.require_private(path)
    finally:
        beside.unlink()
