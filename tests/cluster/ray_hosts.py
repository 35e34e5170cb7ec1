"""Start Ray clusters on hosts as an administrator would: one command a host."""

import os
import secrets
from pathlib import Path

from tests.cluster.hosts import Host
from tests.cluster.programs import Program, wait_for

PORT = 6379
STARTED = "Ray runtime started."
TRAINING = "Trainable"
"""In the name that Ray gives the process of a trial."""

# One processor a host and a small object store: what a test needs.
_SMALL = ("--object-store-memory=80000000", "--disable-usage-stats")

# How the head finds out that a host is gone: after 3 questions a second apart, each waited for 2 s.
# Ray's own settings take a minute and more, which a test need not wait for.
QUICK_HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}


def write_token(path: Path) -> Path:
    """Write a token that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


def with_token(path: Path) -> dict[str, str]:
    """Return the environment of everything that belongs to a cluster with token authentication."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}


def start_head(host: Host, *more: str, cpus: int = 0, **environment: str) -> Program:
    """Run `ray start --head` on a host without waiting for it."""
    return host.start(
        *("ray", "start", "--block", "--head", f"--node-ip-address={host.address}"),
        *(f"--port={PORT}", f"--num-cpus={cpus}", *_SMALL),
        *(more or ("--include-dashboard=false",)),
        log="ray",
        **environment,
    )


def join(host: Host, head: Host, *more: str, cpus: int = 1, **environment: str) -> Program:
    """Run `ray start --address` on a host without waiting for it."""
    return host.start(
        *("ray", "start", "--block", f"--address={head.address}:{PORT}"),
        *(f"--node-ip-address={host.address}", f"--num-cpus={cpus}", *_SMALL, *more),
        log="ray",
        **environment,
    )


def wait_started(*programs: Program, seconds: float = 90) -> None:
    """Wait until each `ray start` has said that its node is up."""
    for program in programs:
        for _ in range(3):
            wait_for(
                lambda program=program: program.says(STARTED) or not program.running,
                seconds,
                f"ray start ({program.log})",
            )
            # Ray gives a node 30 s to start, however busy the machine; a supervisor tries again.
            if program.running or not program.says("timed out during startup"):
                break
            program.restart()
        assert program.running, program.tail()


def address_of(head: Host) -> str:
    """Return what `launch --address` takes."""
    return f"{head.address}:{PORT}"
