"""Connect to the MLflow server that holds the model registry, without pickle."""

import http.client
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from search.core.errors import EnvironmentSetupError
from search.core.paths import home
from search.core.redact import HIDDEN, redact
from search.tracking import server as mlflow_server
from search.tracking import server_access

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # The default waits four minutes for a server that is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


@contextmanager
def connect_mlflow(tracking_uri: str | None, recorded: str = "") -> Iterator["MlflowClient"]:
    """Yield a client of the tracking server while the context lasts.

    Args:
        tracking_uri: the address asked for; None: `$MLFLOW_TRACKING_URI`, else `recorded`, else the
            home folder's own server, which is started if it does not run and then stopped again.
        recorded: the address that the search was launched with, without credentials.

    Raises:
        EnvironmentSetupError: if the server cannot be reached or refuses.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or recorded
    if HIDDEN in uri:
        raise EnvironmentSetupError(
            f"the search was tracked at {uri}, whose credentials are not kept; set "
            "MLFLOW_TRACKING_URI to the full address"
        )
    if uri:
        _require_own_to_answer(uri)
        with _open_client(uri) as client:
            yield client
        return
    server = mlflow_server.start()
    try:
        server.wait_ready()
        with _open_client(server.uri) as client:
            yield client
    finally:
        server.stop()


def _require_own_to_answer(uri: str) -> None:
    """Require that what answers at the address of our own server is ours, before it is told more.

    Raises:
        EnvironmentSetupError: if it is not, or does not answer.
    """
    try:
        server_access.require_proof(uri, home())
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentSetupError(
            f"MLflow at {redact(uri)}: no answer ({error}); what is done is kept, give the same "
            "command again once `spksearch doctor` finds it well"
        ) from error


@contextmanager
def _open_client(uri: str) -> Iterator["MlflowClient"]:
    ours = _ENVIRONMENT | server_access.client_environment(uri, home())
    ours |= {
        name: ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))
        for name in ("NO_PROXY", "no_proxy")
    }
    # MLflow reads them at each request; they are restored, since a caller may have its own.
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, about type hints of its own
        import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    # MLflow reports its own steps at INFO, to stderr.
    logger = logging.getLogger("mlflow")
    level, earlier = logger.level, mlflow.get_tracking_uri()
    logger.setLevel(logging.WARNING)
    # The fluent functions (`start_run`, `log_model`) know no other way to name the server.
    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow.MlflowClient(uri)
    except MlflowException as error:
        away = "Max retries exceeded" in error.message
        raise EnvironmentSetupError(
            f"MLflow at {redact(uri)}: {'no answer' if away else redact(error.message)}; what is "
            "done is kept, give the same command again once `spksearch doctor` finds it well"
        ) from error
    finally:
        logger.setLevel(level)
        mlflow.set_tracking_uri(earlier)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
