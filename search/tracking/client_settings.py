"""Settings of MLflow's client while a search feeds it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from search.tracking.server_access import client_environment

_CLIENT_SETTINGS = {
    # A repeated "create run" whose first answer was lost would make a second run, so the client
    # does not repeat: `search.tracking.uploader` looks what is there, and then tries again.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}


@contextlib.contextmanager
def client_settings(uri: str, folder: Path) -> Iterator[None]:
    """Set the environment, from which MLflow's client reads its settings at every call.

    Args:
        uri: of the tracking server.
        folder: the home folder, whose own server that may be: then the credential is handed over.
    """
    local = ("NO_PROXY", "no_proxy")
    ours = _CLIENT_SETTINGS | client_environment(uri, folder)
    before = {key: os.environ.get(key) for key in (*ours, *local)}
    os.environ.update(ours)
    for key in local:
        os.environ[key] = ",".join(filter(None, [before[key], "127.0.0.1,localhost"]))
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
