"""Find what opens a cluster to strangers, in any kind of file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from search.cluster.files.findings import Finding, Place
from search.cluster.files.yaml_source import Document

_STARTS_RAY = re.compile(r"(?:^|[\s;&|/])ray\s+(?:start|symmetric-run)\b")
_TOKEN_MODE = re.compile(r"\bRAY_AUTH_MODE\s*[=:]\s*[\"']?token\b")
_SECRET_NAME = re.compile(r"(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|ACCESS_KEY|API_KEY)$", re.I)
_ASSIGNED = re.compile(
    r"(?<![\w$-])(?P<name>[A-Za-z_]*(?:TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|ACCESS_KEY|API_KEY))"
    r"=[\"']?(?P<value>[^\s\"'$`;|&()]+)",
    re.I,
)
_OPTION = re.compile(
    r"--(?P<name>(?:[\w-]+-)?(?:password|token|secret))[= ]\s*[\"']?(?P<value>[^\s\"'-][^\s\"']*)"
)
_BEARER = re.compile(r"Bearer\s+(?P<value>[^\s\"'$]+)")
_IN_URI = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$]+:(?P<value>[^\s/@$]+)@")
_EVERYWHERE = re.compile(r"--dashboard-host[= ]\s*[\"']?(?:0\.0\.0\.0|::|\*)")
_MLFLOW_SERVER = re.compile(r"\bmlflow\s+server\b")
_ALLOWED_HOSTS = re.compile(r"--allowed-hosts[= ]\s*(?P<value>[^\s]+)")
_RAY_VERSION = re.compile(r"\bray(?:\[[\w,]*\])?==(?P<pip>[\w.]+)|rayproject/ray:(?P<image>[\w.]+)")

NO_TOKEN = (
    "starts Ray without token authentication: whoever reaches the port runs code; set "
    "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a file that only its owner can read"
)


def starts_ray(text: str) -> bool:
    """Return whether a command in a text starts a Ray node."""
    return _STARTS_RAY.search(text) is not None


def sets_token(text: str) -> bool:
    """Return whether a text switches token authentication on."""
    return _TOKEN_MODE.search(text) is not None


def check_commands(text: str) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with shell commands: the line, from 0, and why."""
    for line, command in _join_lines(text):
        yield from ((line, message) for message in _check_command(command))


def _join_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their continuations, without comments."""
    whole, first = "", 0
    for number, line in enumerate(text.splitlines()):
        if not whole:
            first = number
        if line.rstrip().endswith("\\"):
            whole += line.rstrip()[:-1] + " "
            continue
        whole += line
        if not whole.lstrip().startswith("#"):
            yield first, whole
        whole = ""
    if whole:
        yield first, whole


def _check_command(command: str) -> Iterator[str]:
    for match in (*_ASSIGNED.finditer(command), *_OPTION.finditer(command)):
        if not _is_reference(match["value"]):
            yield (
                f"{match['name']} stands here in clear, for everybody who can read the file or "
                "list processes; read it from a file that only its owner can read"
            )
    if _BEARER.search(command):
        yield "a bearer token stands here in clear; read it from a file"
    if any(not _is_reference(match["value"]) for match in _IN_URI.finditer(command)):
        yield "a password stands in a URI; leave it out, and give it by a file or the environment"
    if _EVERYWHERE.search(command):
        yield (
            "the dashboard listens on every interface; leave --dashboard-host at 127.0.0.1 and "
            "reach it through a tunnel"
        )
    yield from _check_mlflow(command)


def _check_mlflow(command: str) -> Iterator[str]:
    if _MLFLOW_SERVER.search(command):
        hosts = _ALLOWED_HOSTS.search(command)
        if hosts is None:
            yield (
                "mlflow server without --allowed-hosts refuses the names that containers and pods "
                "use, and takes any name that begins like a private address; list host:port pairs"
            )
        elif "*" in hosts["value"]:
            yield "--allowed-hosts with a * lets foreign pages in; list host:port pairs"
    if re.search(r"\bpostgresql://", command):
        yield (
            "postgresql:// wants psycopg 3 with SQLAlchemy 2.1; the driver that the image has is "
            "named by postgresql+psycopg2://"
        )


def check_environment(
    document: Document, place: Place, variables: Mapping[str, Any]
) -> Iterator[Finding]:
    """Yield secrets in clear text among variables."""
    for name, value in variables.items():
        if _SECRET_NAME.search(name) and value is not None and not _is_reference(str(value)):
            yield document.finding(
                (*place, name), f"{name} stands here in clear; give it by a secret that is a file"
            )
        if name == "RAY_AUTH_MODE" and value != "token":
            yield document.finding((*place, name), f"must be token, got {value}: {NO_TOKEN}")


def check_texts(document: Document, skip: Iterable[Place] = ()) -> Iterator[Finding]:
    """Yield what is wrong with any text of a document, commands included."""
    left_out = set(skip)
    for place, text in document.strings():
        if place in left_out:
            continue
        for offset, message in check_commands(text):
            start = document.line(place)
            yield Finding(start + offset, document.finding(place, "").where, message)
    yield from check_ray_versions(document)


def check_ray_versions(document: Document) -> Iterator[Finding]:
    """Yield texts that name another Ray than the installed one, which every node must have."""
    ours = find_ray_version()
    for place, text in document.strings():
        for message in check_versions_in(text, ours):
            yield document.finding(place, message)


def check_versions_in(text: str, ours: str) -> Iterator[str]:
    """Yield what is wrong with versions of Ray in a text."""
    for match in _RAY_VERSION.finditer(text):
        named = match["pip"] or match["image"]
        if ours and not re.match(rf"{re.escape(ours)}(?![\d.])", named):
            yield f"names Ray {named}, installed is {ours}; every node needs the same"


def find_ray_version() -> str:
    """Return the version of the installed Ray; empty without one."""
    try:
        return version("ray")
    except PackageNotFoundError:
        return ""


def _is_reference(value: str) -> bool:
    """Return whether a value is a variable, a file's path or a switch, rather than a secret."""
    return (
        not value
        or value.startswith(("$", "/", "~", "./", "{", "<"))
        or value.lower() in ("true", "false")
    )
