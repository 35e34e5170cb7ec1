"""Check how a running cluster is guarded before anything of ours is sent there.

Whoever reaches a Ray cluster without a token can run code on it. Whether it asks for one is found
out by a question without a token: the head's own service answers, or it refuses. That a head
answers on loopback says nothing about where else it listens, so what counts are the addresses that
its machines report.
"""

import ipaddress
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from search.cluster.auth_token import TOKEN_HELP, Token, find_token, set_auth_mode
from search.core.errors import EnvironmentSetupError, UsageError

if TYPE_CHECKING:
    import grpc

ANSWER_SECONDS = 5.0
AuthMode = Literal["token", "open"]


@dataclass(frozen=True)
class ClusterAuth:
    """A cluster that answers, and how it is guarded."""

    address: str
    """HOST:PORT of its head."""
    auth_mode: AuthMode
    machines: tuple[str, ...]
    """Addresses of the machines that are alive."""
    ray_version: str
    tls: bool

    @property
    def reachable(self) -> bool:
        """Whether other machines can connect to it."""
        return not all(is_loopback(machine) for machine in self.machines)


def prepare_to_join(address: str, *, insecure: bool = False) -> ClusterAuth:
    """Check a cluster, and set the environment so that Ray joins it with or without a token.

    Args:
        address: HOST:PORT of its head, or `auto`.
        insecure: whether to join an open cluster that others can reach.

    Raises:
        UsageError: if it is not an address.
        EnvironmentSetupError: if nothing answers; if the token is missing, wrong or readable by
            others; if the cluster runs another Ray, or is open to whoever reaches it.
    """
    auth = inspect_auth(address)
    if auth.auth_mode == "open":
        if auth.reachable and not insecure:
            raise EnvironmentSetupError(describe_open_cluster(auth.address, auth.machines))
        set_auth_mode("disabled")
    else:
        set_auth_mode("token")
    ours = version("ray")
    if auth.ray_version != ours:
        raise EnvironmentSetupError(
            f"the cluster at {auth.address} runs Ray {auth.ray_version}, here is {ours}; "
            "install the same on all machines (constraints.txt pins it)"
        )
    return auth


def inspect_auth(address: str) -> ClusterAuth:
    """Return how a cluster is guarded, without judging it.

    Raises:
        UsageError: if it is not an address.
        EnvironmentSetupError: if nothing answers, or the token is missing, wrong or readable by
            others.
    """
    place = _normalise(address)
    with open_channel(place) as channel:
        # Asked without the token first: a token must not be shown to an open cluster, where anybody
        # may read along.
        machines = _list_machines(channel, place, None)
        mode: AuthMode = "token" if machines is None else "open"
        token = None
        if machines is None:
            token = find_token()
            if token is None:
                raise EnvironmentSetupError(
                    f"the Ray cluster at {place} wants a token, and there is none here; "
                    f"{TOKEN_HELP}"
                )
            machines = _list_machines(channel, place, token)
            if machines is None:
                raise EnvironmentSetupError(
                    f"the token in {token.source} is not that of the Ray cluster at {place}; "
                    f"{TOKEN_HELP}"
                )
        its_version = _ask_ray_version(channel, token)
    return ClusterAuth(place, mode, tuple(machines), its_version, _uses_tls())


def describe_open_cluster(address: str, machines: Sequence[str]) -> str:
    """Say why an open cluster is refused."""
    return (
        f"the Ray cluster at {address} asks for no token, and it is not on loopback "
        f"({', '.join(machines[:3])}): whoever reaches it can run code there. Start it with "
        "RAY_AUTH_MODE=token and a token file of mode 600 on every machine (the files in cluster/ "
        "do), or insist with --insecure"
    )


def is_local(address: str | None) -> bool:
    """Return whether an address means a head of our own."""
    return address in (None, "", "local")


def require_guarded_jobs(address: str, *, insecure: bool = False) -> None:
    """Require that a cluster is guarded, or cannot be reached by others, before it gets a job.

    Args:
        address: http://HOST:PORT of its dashboard, which takes jobs.
        insecure: whether an open cluster will do all the same.

    Raises:
        EnvironmentSetupError: if it is open and others can reach it, if nothing answers, or if it
            asks for a token and there is none here.
    """
    status, machines = _ask_dashboard(address)
    # The token itself is shown later, by Ray's own client.
    if status in (401, 403):
        if find_token() is None:
            raise EnvironmentSetupError(
                f"the Ray cluster at {address} wants a token, and there is none here; {TOKEN_HELP}"
            )
        set_auth_mode("token")
        return
    host = urlsplit(address).hostname or ""
    seen = machines or [host]
    if not insecure and not all(is_loopback(machine) for machine in seen):
        raise EnvironmentSetupError(describe_open_cluster(address, seen))


# --- asking -------------------------------------------------------------------------------------


def _normalise(address: str) -> str:
    if address == "auto":
        from ray._private import services

        try:
            return str(services.canonicalize_bootstrap_address_or_die("auto"))
        except (ConnectionError, ValueError) as error:
            raise EnvironmentSetupError(
                "no Ray cluster runs on this machine; name one with --address HOST:PORT"
            ) from error
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme or not host or not port:
        hint = "; a Ray client address (ray://) cannot drive a search" if parts.scheme else ""
        raise UsageError(
            f"--address takes HOST:PORT of a Ray head, such as 10.0.0.1:6379, or auto, got "
            f"{address!r}{hint}"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _uses_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


@contextmanager
def open_channel(place: str) -> Iterator["grpc.Channel"]:
    """Open a channel to the head at HOST:PORT, by TLS where the environment says so."""
    import grpc

    # Without a proxy, which could read the token.
    options = [("grpc.enable_http_proxy", 0)]
    if not _uses_tls():
        channel = grpc.insecure_channel(place, options)
    else:
        certificate, key, authority = (
            _read_pem(f"RAY_TLS_{name}") for name in ("SERVER_CERT", "SERVER_KEY", "CA_CERT")
        )
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        channel = grpc.secure_channel(place, credentials, options)
    try:
        yield channel
    finally:
        channel.close()


def _read_pem(variable: str) -> bytes:
    path = os.environ.get(variable)
    if not path or not Path(path).is_file():
        raise EnvironmentSetupError(
            f"RAY_USE_TLS is set, and {variable} names no file ({path or 'it is not set'}); "
            "cluster/tls.sh makes the certificates and says what to set"
        )
    return Path(path).read_bytes()


def _list_machines(channel: "grpc.Channel", place: str, token: Token | None) -> list[str] | None:
    """Return the addresses of the machines that are alive; None if the question was refused."""
    import grpc
    from ray.core.generated import gcs_pb2, gcs_service_pb2, gcs_service_pb2_grpc

    stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
    try:
        answer = stub.GetAllNodeInfo(
            gcs_service_pb2.GetAllNodeInfoRequest(),
            timeout=ANSWER_SECONDS,
            metadata=_header(token),
        )
    except grpc.RpcError as error:
        # The refusal is the answer: this cluster asks for a token.
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            return None
        raise EnvironmentSetupError(
            f"no Ray head answers at {place}: {_shorten(error)}; "
            + (
                "check the address and the certificates (RAY_TLS_...)"
                if _uses_tls()
                else "start the cluster or correct the address; where it uses TLS, set "
                "RAY_USE_TLS=1 and RAY_TLS_... here too"
            )
        ) from error
    # The list has machines that died, too; their addresses say nothing about reachability now.
    alive = gcs_pb2.GcsNodeInfo.GcsNodeState.Value("ALIVE")
    return [node.node_manager_address for node in answer.node_info_list if node.state == alive]


def _shorten(error: Any) -> str:
    """Return what gRPC says went wrong, without what it was doing at the time."""
    words = error.details() or error.code().name.lower()
    return str(words).rsplit(": ", 1)[-1].strip()


def _ask_ray_version(channel: "grpc.Channel", token: Token | None) -> str:
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
    answer = stub.CheckAlive(
        gcs_service_pb2.CheckAliveRequest(), timeout=ANSWER_SECONDS, metadata=_header(token)
    )
    return str(answer.ray_version)


def _header(token: Token | None) -> tuple[tuple[str, str], ...] | None:
    return None if token is None else (("authorization", f"Bearer {token.value}"),)


def is_loopback(host: str) -> bool:
    """Return whether an address means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ask_dashboard(address: str) -> tuple[int, list[str]]:
    """Ask the dashboard without a token, and return its HTTP status and its machines."""
    url = f"{address.rstrip('/')}/nodes?view=summary"
    # Without a proxy, which would answer for the cluster.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            answered = json.load(answer)
    except HTTPError as error:
        error.close()  # it holds the connection, which Python 3.14 warns about
        if error.code not in (401, 403):
            raise EnvironmentSetupError(f"{address} takes no jobs: {error.code}") from error
        return error.code, []
    except (OSError, ValueError) as error:
        raise EnvironmentSetupError(
            f"no Ray dashboard answers at {address}: {getattr(error, 'reason', error)}; start the "
            "head with its dashboard, or forward its port 8265"
        ) from error
    try:
        return 200, [str(machine["ip"]) for machine in answered["data"]["summary"]]
    except (KeyError, TypeError) as error:
        raise EnvironmentSetupError(f"what answers at {address} is no Ray dashboard") from error
