"""Send the three requests of which a search sends thousands: create, extend, update a run.

MLflow's client takes some 2 ms of processor for each, most of it in layers that look where it runs
and translate to and fro. To a server that is reached by plain HTTP and by nothing but its address
the same requests, as MLflow's REST API documents them, go over one connection that is kept.
"""

import base64
import contextlib
import http.client
import json
import os
import select
import urllib.request
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from search.core.errors import EnvironmentSetupError
from search.tracking import server_access
from search.tracking.projection import Point
from search.tracking.server_access import require_proof_on

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PATH = "/api/2.0/mlflow/runs"
_TIMEOUT_SECONDS = 30.0
_SPECIAL = (
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_WORKSPACE",
)
"""Settings of MLflow's client that change how a server is spoken to."""

Words = Sequence[tuple[str, str]]
"""Names and values."""


class RunCalls(Protocol):
    """Each either has been done when it returns, or raises `MlflowException`, done or not."""

    def create(self, experiment_id: str, name: str, started_ms: int, tags: Words) -> str:
        """Create a run; return its id."""

    def add(self, run_id: str, points: Sequence[Point], params: Words, tags: Words) -> None:
        """Add params, metrics and tags to a run, in one request."""

    def update(self, run_id: str, status: str, ended_ms: int | None) -> None:
        """Set a run's status, and when it ended unless it is running."""

    def close(self) -> None:
        """End the connection: nothing more is sent."""


def for_server(uri: str, client: "MlflowClient", folder: Path) -> RunCalls:
    """Return the quickest client for a tracking server, or store.

    Args:
        uri: its address.
        client: MLflow's, which knows every kind of server.
        folder: the home folder, whose own server it may be.

    Raises:
        OSError: if it has to be asked, and does not answer.
    """
    if why_client(uri) or _sends_elsewhere(uri):
        return ByClient(client)
    own = server_access.is_own(uri, folder)
    return ByHttp(uri, server_access.read_credential(folder) if own else "")


def why_client(uri: str) -> str:
    """Return why a server needs MLflow's own client; empty if plain HTTP will do."""
    parts = urlsplit(uri)
    if parts.scheme != "http" or not parts.hostname:
        return "it is not reached by plain HTTP"
    if special := [name for name in _SPECIAL if os.environ.get(name)]:
        return f"{special[0]} is set"
    proxies = urllib.request.getproxies()
    is_direct = urllib.request.proxy_bypass(parts.hostname)
    if not is_direct and {"http", "all"} & proxies.keys():
        return "a proxy is set"
    files = (Path.home() / name for name in (".netrc", "_netrc"))
    if os.environ.get("NETRC") or any(each.exists() for each in files):
        return "a netrc file may name a password"
    if entry_points(group="mlflow.request_header_provider"):
        return "a plugin adds headers"
    return ""


def _sends_elsewhere(uri: str) -> bool:
    """Return whether a server redirects, which MLflow's client would follow."""
    parts = urlsplit(uri)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=10)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        return 300 <= connection.getresponse().status < 400
    finally:
        connection.close()


class ByClient:
    """Calls through MLflow's own client."""

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client

    def create(self, experiment_id: str, name: str, started_ms: int, tags: Words) -> str:
        run = self._client.create_run(
            experiment_id, start_time=started_ms, tags=dict(tags), run_name=name
        )
        return str(run.info.run_id)

    def add(self, run_id: str, points: Sequence[Point], params: Words, tags: Words) -> None:
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            run_id,
            [Metric(each.key, each.value, each.time_ms, each.step) for each in points],
            [Param(name, value) for name, value in params],
            [RunTag(name, value) for name, value in tags],
        )

    def update(self, run_id: str, status: str, ended_ms: int | None) -> None:
        if ended_ms is None:
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status, ended_ms)

    def close(self) -> None:
        """Do nothing: the connections are MLflow's."""


class ByHttp:
    """Calls over one HTTP connection that is kept open; for one thread."""

    def __init__(self, uri: str, credential: str = "") -> None:
        """Connect at the first request.

        Args:
            uri: of the server.
            credential: which our own server has to know before it is sent anything.
        """
        self._credential = credential
        self._uri = urlsplit(uri)
        assert self._uri.hostname is not None
        self._connection = http.client.HTTPConnection(
            self._uri.hostname, self._uri.port or 80, timeout=_TIMEOUT_SECONDS
        )
        self._headers: dict[str, str] = {}

    def create(self, experiment_id: str, name: str, started_ms: int, tags: Words) -> str:
        body = {
            "experiment_id": experiment_id,
            "user_id": "unknown",  # as MLflow's client says where there is no tag `mlflow.user`
            "run_name": name,
            "start_time": started_ms,
            "tags": _pairs(tags),
        }
        return str(self._ask("create", body)["run"]["info"]["run_id"])

    def add(self, run_id: str, points: Sequence[Point], params: Words, tags: Words) -> None:
        metrics = [
            {"key": each.key, "value": each.value, "timestamp": each.time_ms, "step": each.step}
            for each in points
        ]
        body = {"run_id": run_id, "metrics": metrics, "params": _pairs(params)}
        self._ask("log-batch", body | {"tags": _pairs(tags)})

    def update(self, run_id: str, status: str, ended_ms: int | None) -> None:
        ended = {} if ended_ms is None else {"end_time": ended_ms}
        self._ask("update", {"run_id": run_id, "status": status, **ended})

    def close(self) -> None:
        self._connection.close()

    def _ask(self, what: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a request. It is sent once only: the server may have acted on it."""
        from mlflow.exceptions import MlflowException, RestException

        path = f"{self._uri.path.rstrip('/')}{_PATH}/{what}"
        try:
            status, answer = self._exchange(path, json.dumps(body, allow_nan=False).encode())
        except (OSError, http.client.HTTPException, EnvironmentSetupError) as error:
            self._connection.close()
            raise MlflowException(f"runs/{what}: {type(error).__name__}: {error}") from error
        said = None
        with contextlib.suppress(ValueError):
            said = json.loads(answer)
        if status == 200 and isinstance(said, dict):
            return said
        if isinstance(said, dict):
            raise RestException(said)
        raise MlflowException(f"runs/{what} was answered with {status}: {answer[:200]!r}")

    def _exchange(self, path: str, content: bytes) -> tuple[int, bytes]:
        if _is_dropped(self._connection):
            self._connection.close()
        if self._connection.sock is None:
            if self._credential:
                # Connected by hand: a connection that is lost from here on must be proven again.
                self._connection.auto_open = 0
                self._connection.connect()
                require_proof_on(self._connection, self._connection.port, self._credential)
            self._headers = {"Content-Type": "application/json", **self._authorization()}
        self._connection.request("POST", path, content, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _authorization(self) -> dict[str, str]:
        """Return the authorization, as MLflow's client finds it: address, environment, file."""
        from mlflow.utils.credentials import get_default_host_creds

        if self._uri.username is not None:
            user, password = unquote(self._uri.username), unquote(self._uri.password or "")
            return _basic(user, password)
        known = get_default_host_creds(self._uri.geturl())
        if known.username and known.password:
            return _basic(known.username, known.password)
        return {"Authorization": f"Bearer {known.token}"} if known.token else {}


def _pairs(words: Words) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in words]


def _basic(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def _is_dropped(connection: http.client.HTTPConnection) -> bool:
    """Return whether the server has closed the connection: then its end can be read."""
    if connection.sock is None:
        return False
    look = select.poll()
    look.register(connection.sock, select.POLLIN)
    return bool(look.poll(0))
