"""Settings of MLflow's client while a search feeds it."""

import contextlib
import os
from collections.abc import Iterator

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
def client_settings() -> Iterator[None]:
    """Set the environment, from which MLflow's client reads its settings at every call."""
    local = ("NO_PROXY", "no_proxy")
    before = {key: os.environ.get(key) for key in (*_CLIENT_SETTINGS, *local)}
    os.environ.update(_CLIENT_SETTINGS)
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
