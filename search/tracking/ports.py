"""Find ports of 127.0.0.1 for the local MLflow server."""

import socket
import time

from search.core.errors import EnvironmentSetupError
from search.tracking.server_access import HOST


def pick_port(asked: int | None, last: int | None) -> int:
    """Return the port for a new server: the one asked for, else the last one, else any free one.

    Raises:
        EnvironmentSetupError: if the one asked for is occupied.
    """
    if asked is not None:
        if not is_free(asked):
            raise EnvironmentSetupError(
                f"port {asked} on {HOST} is occupied; give another one with --port, or none for "
                f"any that is free"
            )
        return asked
    if last is not None and is_free(last):
        return last
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def wait_until_is_free(port: int, seconds: float = 3.0) -> None:
    """Wait until a port is free: a killed process gives it back a moment after its end."""
    end = time.monotonic() + seconds
    while not is_free(port) and time.monotonic() < end:
        time.sleep(0.05)
