"""Check compose files by the specification's schema, and for what a service opens to others."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from search.cluster.files import schema_check, security
from search.cluster.files.findings import Finding, Place
from search.cluster.files.yaml_source import Document

_LOOPBACK = ("127.", "localhost", "[::1]", "::1")
_SECRET_FILE = re.compile(r"/run/secrets/[\w./-]*\w")


def check(document: Document) -> list[Finding]:
    """Return everything that is wrong with a compose file."""
    findings = schema_check.check_schema(document, schema_check.load_schema("compose", "compose"))
    services = document.value.get("services")
    if isinstance(services, dict):
        for name, service in services.items():
            if isinstance(service, dict):
                findings += _check_service(document, ("services", str(name)), service)
        findings += _check_references(document, services)
    elif "services" not in document.value:
        findings.append(document.finding((), "lacks services"))
    # A list of words is one command; the text of each of its words says too little.
    commands = [place for place, _ in document.strings() if _is_word_of_command(place)]
    findings += security.check_texts(document, skip=commands)
    return sorted(set(findings))


def _is_word_of_command(place: Place) -> bool:
    return len(place) == 4 and place[0] == "services" and place[2] in ("command", "entrypoint")


def _check_service(document: Document, place: Place, service: dict[str, Any]) -> Iterator[Finding]:
    ports = service.get("ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        if not _is_on_loopback(port):
            yield document.finding(
                (*place, "ports", index),
                f"{_port_text(port)} is open to every machine that reaches this one; write "
                f"127.0.0.1:{_port_text(port)} and use a tunnel",
            )
    if service.get("network_mode") == "host":
        yield document.finding(
            (*place, "network_mode"), "host shows every port of it to whoever reaches this machine"
        )
    yield from _check_secret_files(document, place, service)
    variables = _collect_variables(service.get("environment"))
    yield from security.check_environment(document, (*place, "environment"), variables)
    for name in ("command", "entrypoint"):
        command = service.get(name)
        text = " ".join(map(str, command)) if isinstance(command, list) else str(command or "")
        if isinstance(command, list):
            for _, message in security.check_commands(text.replace("\n", " ")):
                yield document.finding((*place, name), message)
        # The variable may be set for the service or within the command.
        by_environment = variables.get("RAY_AUTH_MODE") == "token"
        if security.starts_ray(text) and not (by_environment or security.sets_token(text)):
            yield document.finding((*place, name), security.NO_TOKEN)


def _check_secret_files(
    document: Document, place: Place, service: dict[str, Any]
) -> Iterator[Finding]:
    """Yield files of secrets that are named and not mounted in this service."""
    mounted = set()
    for each in _as_list(service.get("secrets")):
        target = each.get("target") or each.get("source") if isinstance(each, dict) else each
        mounted.add(str(PurePosixPath("/run/secrets") / str(target)))
    for where, text in document.strings():
        if where[: len(place)] != place:
            continue
        for path in sorted(set(_SECRET_FILE.findall(text)) - mounted):
            meant = schema_check.suggest_nearest(path, mounted)
            yield document.finding(where, f"no secret of this service is at {path}{meant}")


def _check_references(document: Document, services: dict[str, Any]) -> Iterator[Finding]:
    """Yield secrets, volumes and services that are used and not defined."""
    for name, service in services.items():
        if not isinstance(service, dict):
            continue
        used = {
            "secrets": _collect_names(service.get("secrets")),
            "volumes": {
                each for each in map(_volume_name, _as_list(service.get("volumes"))) if each
            },
            "services": _collect_names(service.get("depends_on")),
        }
        for section, names in used.items():
            there = set(map(str, document.value.get(section) or ()))
            for each in sorted(names - there):
                yield document.finding(
                    ("services", str(name)),
                    f"uses {each}, which is not among the {section}"
                    + schema_check.suggest_nearest(each, there),
                )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _collect_names(value: Any) -> set[str]:
    """Return the names in a list, in the `source` of mappings, or in a mapping's keys."""
    if isinstance(value, dict):
        return set(map(str, value))
    names = (each.get("source") if isinstance(each, dict) else each for each in _as_list(value))
    return {str(name) for name in names if name}


def _volume_name(value: Any) -> str:
    """Return the named volume that an entry mounts; empty for a folder of the host."""
    if isinstance(value, dict):
        return str(value.get("source", "")) if value.get("type") == "volume" else ""
    source = str(value).split(":")[0]
    return source if ":" in str(value) and re.fullmatch(r"[\w.-]+", source) else ""


def _collect_variables(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(name): each for name, each in value.items()}
    pairs = (str(each).partition("=") for each in _as_list(value))
    return {name: text for name, _, text in pairs}


def _is_on_loopback(port: Any) -> bool:
    if isinstance(port, dict):
        return str(port.get("host_ip", "")).startswith(_LOOPBACK)
    return str(port).startswith(_LOOPBACK) and ":" in str(port)


def _port_text(port: Any) -> str:
    if isinstance(port, dict):
        return f"{port.get('published', '')}:{port.get('target', '')}"
    return str(port)
