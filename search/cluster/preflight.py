"""What a running cluster asks of those who come, found out before anything of ours is sent there.

Whoever reaches a Ray cluster without a token can run code on it. Whether one is asked for is seen
by asking without: the head's own service answers, or it refuses. That it answers on loopback says
nothing about where else it listens, so what counts is where its machines say they are.
"""

import ipaddress
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from search.core.errors import EnvironmentSetupError, UsageError

if TYPE_CHECKING:
    import grpc

ANSWER_SECONDS = 5.0
TOKEN_HELP = (
    "put the cluster's token into a file of yours with mode 600 and name it in "
    "RAY_AUTH_TOKEN_PATH, or as ~/.ray/auth_token"
)

Guard = Literal["token", "open"]


@dataclass(frozen=True)
class ClusterAuth:
    """A cluster that answers, and what it asks for."""

    address: str
    """HOST:PORT of its head."""
    guard: Guard
    machines: tuple[str, ...]
    """Addresses of those that are alive."""
    ray_version: str
    tls: bool

    @property
    def reachable(self) -> bool:
        """Whether other machines can come to it."""
        return not all(is_loopback(machine) for machine in self.machines)


@dataclass(frozen=True)
class Token:
    """The token that this process would show, and where it is from."""

    value: str
    source: str


def check(address: str, *, insecure: bool = False) -> ClusterAuth:
    """Look at a cluster, and set the environment so that Ray joins it as it wants to be joined.

    Args:
        address: HOST:PORT of its head, or `auto`.
        insecure: whether an open cluster that others can reach will do.

    Raises:
        UsageError: if the address is none.
        EnvironmentSetupError: if nothing answers, the token is missing or wrong or lies open, the
            cluster runs another Ray, or is open to whoever reaches it.
    """
    entrance = look(address)
    if entrance.guard == "open":
        if entrance.reachable and not insecure:
            raise EnvironmentSetupError(open_text(entrance.address, entrance.machines))
        set_mode("disabled")
    else:
        set_mode("token")
    ours = version("ray")
    if entrance.ray_version != ours:
        raise EnvironmentSetupError(
            f"the cluster at {entrance.address} runs Ray {entrance.ray_version}, here is {ours}; "
            "install the same on all machines (constraints.txt pins it)"
        )
    return entrance


def look(address: str) -> ClusterAuth:
    """A cluster as it shows itself, without a word about whether that is good.

    Raises:
        UsageError: if the address is none.
        EnvironmentSetupError: if nothing answers, or the token is missing, wrong or lies open.
    """
    place = _place(address)
    with _channel(place) as channel:
        machines = _machines(channel, place, None)
        guard: Guard = "token" if machines is None else "open"
        token = None
        if machines is None:
            token = own_token()
            if token is None:
                raise EnvironmentSetupError(
                    f"the Ray cluster at {place} wants a token, and there is none here; "
                    f"{TOKEN_HELP}"
                )
            machines = _machines(channel, place, token)
            if machines is None:
                raise EnvironmentSetupError(
                    f"the token in {token.source} is not that of the Ray cluster at {place}; "
                    f"{TOKEN_HELP}"
                )
        its_version = _ray_version(channel, token)
    return ClusterAuth(place, guard, tuple(machines), its_version, _wants_tls())


def own_token() -> Token | None:
    """The token that Ray would take, in Ray's order; None if there is none.

    Raises:
        EnvironmentSetupError: if a file that holds it is not ours alone, or is not there.
    """
    if value := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return Token(value, "RAY_AUTH_TOKEN")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    if not path.is_file():
        if named:
            raise EnvironmentSetupError(f"RAY_AUTH_TOKEN_PATH: no file {path}; {TOKEN_HELP}")
        return None
    check_private(path)
    return Token(path.read_text(encoding="utf-8").strip(), str(path))


def check_private(path: Path) -> None:
    """Whether a secret's file is for our eyes only.

    Raises:
        EnvironmentSetupError: if it is not.
    """
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise EnvironmentSetupError(
            f"{path} can be read by others than its owner, and who reads it can run code on the "
            f"cluster; `chmod 600 {path}`, and make a new token if others use this machine"
        )
    if status.st_uid not in (os.geteuid(), 0):
        raise EnvironmentSetupError(f"{path} belongs to another user, who may change it; copy it")


def open_text(address: str, machines: Sequence[str]) -> str:
    """Why an open cluster is refused."""
    return (
        f"the Ray cluster at {address} asks for no token, and it is not on loopback "
        f"({', '.join(machines[:3])}): whoever reaches it can run code there. Start it with "
        "RAY_AUTH_MODE=token and a token file of mode 600 on every machine (the files in cluster/ "
        "do), or insist with --insecure"
    )


def is_local(address: str | None) -> bool:
    """Whether this means a head of our own."""
    return address in (None, "", "local")


# --- how -------------------------------------------------------------------------------------


def _place(address: str) -> str:
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


def _wants_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


@contextmanager
def _channel(place: str) -> Iterator["grpc.Channel"]:
    import grpc

    options = [("grpc.enable_http_proxy", 0)]
    if not _wants_tls():
        channel = grpc.insecure_channel(place, options)
    else:
        certificate, key, authority = (
            _pem(f"RAY_TLS_{name}") for name in ("SERVER_CERT", "SERVER_KEY", "CA_CERT")
        )
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        channel = grpc.secure_channel(place, credentials, options)
    try:
        yield channel
    finally:
        channel.close()


def _pem(variable: str) -> bytes:
    path = os.environ.get(variable)
    if not path or not Path(path).is_file():
        raise EnvironmentSetupError(
            f"RAY_USE_TLS is set, and {variable} names no file ({path or 'it is not set'}); "
            "cluster/tls.sh makes the certificates and says what to set"
        )
    return Path(path).read_bytes()


def _machines(channel: "grpc.Channel", place: str, token: Token | None) -> list[str] | None:
    """Addresses of the machines that are alive; None if the question was refused."""
    import grpc
    from ray.core.generated import gcs_pb2, gcs_service_pb2, gcs_service_pb2_grpc

    stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
    try:
        answer = stub.GetAllNodeInfo(
            gcs_service_pb2.GetAllNodeInfoRequest(),
            timeout=ANSWER_SECONDS,
            metadata=_shown(token),
        )
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            return None
        raise EnvironmentSetupError(
            f"no Ray head answers at {place}: {_short(error)}; "
            + (
                "check the address and the certificates (RAY_TLS_...)"
                if _wants_tls()
                else "start the cluster or correct the address; where it uses TLS, set "
                "RAY_USE_TLS=1 and RAY_TLS_... here too"
            )
        ) from error
    alive = gcs_pb2.GcsNodeInfo.GcsNodeState.Value("ALIVE")
    return [node.node_manager_address for node in answer.node_info_list if node.state == alive]


def _short(error: Any) -> str:
    """What gRPC says went wrong, without what it was doing at the time."""
    words = error.details() or error.code().name.lower()
    return str(words).rsplit(": ", 1)[-1].strip()


def _ray_version(channel: "grpc.Channel", token: Token | None) -> str:
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
    answer = stub.CheckAlive(
        gcs_service_pb2.CheckAliveRequest(), timeout=ANSWER_SECONDS, metadata=_shown(token)
    )
    return str(answer.ray_version)


def _shown(token: Token | None) -> tuple[tuple[str, str], ...] | None:
    return None if token is None else (("authorization", f"Bearer {token.value}"),)


def is_loopback(host: str) -> bool:
    """Whether only this machine can be meant."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def set_mode(mode: str) -> None:
    """Whether Ray shows a token; it reads the variable once, so it is told to look again."""
    if os.environ.get("RAY_AUTH_MODE") == mode:
        return
    os.environ["RAY_AUTH_MODE"] = mode
    from ray import _raylet

    compiled: Any = _raylet
    compiled.Config.initialize("")
    compiled.AuthenticationTokenLoader.instance().reset_cache()
