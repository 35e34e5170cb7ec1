"""Compose files: the specification's schema, and what a service shows to others."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from search.cluster.files import by_schema, security
from search.cluster.files.findings import Finding, Place
from search.cluster.files.yaml_source import Document

_LOOPBACK = ("127.", "localhost", "[::1]", "::1")
_SECRET_FILE = re.compile(r"/run/secrets/[\w./-]*\w")


def check(document: Document) -> list[Finding]:
    """Everything that is wrong with a compose file."""
    findings = by_schema.problems(document, by_schema.vendored("compose", "compose"))
    services = document.value.get("services")
    if isinstance(services, dict):
        for name, service in services.items():
            if isinstance(service, dict):
                findings += _of_service(document, ("services", str(name)), service)
        findings += _of_references(document, services)
    elif "services" not in document.value:
        findings.append(document.finding((), "lacks services"))
    # A list of words is one command; the text of each of its words says too little.
    commands = [place for place, _ in document.strings() if _is_word_of_command(place)]
    findings += security.text_problems(document, skip=commands)
    return sorted(set(findings))


def _is_word_of_command(place: Place) -> bool:
    return len(place) == 4 and place[0] == "services" and place[2] in ("command", "entrypoint")


def _of_service(document: Document, place: Place, service: dict[str, Any]) -> Iterator[Finding]:
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
    yield from _of_secret_files(document, place, service)
    variables = _variables(service.get("environment"))
    yield from security.environment_problems(document, (*place, "environment"), variables)
    for name in ("command", "entrypoint"):
        command = service.get(name)
        text = " ".join(map(str, command)) if isinstance(command, list) else str(command or "")
        if isinstance(command, list):
            for _, message in security.command_problems(text.replace("\n", " ")):
                yield document.finding((*place, name), message)
        by_environment = variables.get("RAY_AUTH_MODE") == "token"
        if security.starts_ray(text) and not (by_environment or security.sets_token(text)):
            yield document.finding((*place, name), security.NO_TOKEN)


def _of_secret_files(
    document: Document, place: Place, service: dict[str, Any]
) -> Iterator[Finding]:
    """Files of secrets that are named and not mounted in this service."""
    mounted = set()
    for each in _list(service.get("secrets")):
        target = each.get("target") or each.get("source") if isinstance(each, dict) else each
        mounted.add(str(PurePosixPath("/run/secrets") / str(target)))
    for where, text in document.strings():
        if where[: len(place)] != place:
            continue
        for path in sorted(set(_SECRET_FILE.findall(text)) - mounted):
            yield document.finding(
                where, f"no secret of this service is at {path}{by_schema.nearest(path, mounted)}"
            )


def _of_references(document: Document, services: dict[str, Any]) -> Iterator[Finding]:
    """Secrets, volumes and services that are used and not there."""
    for name, service in services.items():
        if not isinstance(service, dict):
            continue
        used = {
            "secrets": _names(service.get("secrets")),
            "volumes": {each for each in map(_volume, _list(service.get("volumes"))) if each},
            "services": _names(service.get("depends_on")),
        }
        for section, names in used.items():
            there = set(map(str, document.value.get(section) or ()))
            for each in sorted(names - there):
                yield document.finding(
                    ("services", str(name)),
                    f"uses {each}, which is not among the {section}"
                    + by_schema.nearest(each, there),
                )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: Any) -> set[str]:
    """Of a list of names, of mappings with a `source`, or of a mapping's keys."""
    if isinstance(value, dict):
        return set(map(str, value))
    names = (each.get("source") if isinstance(each, dict) else each for each in _list(value))
    return {str(name) for name in names if name}


def _volume(value: Any) -> str:
    """The named volume that an entry mounts; empty for a folder of the host."""
    if isinstance(value, dict):
        return str(value.get("source", "")) if value.get("type") == "volume" else ""
    source = str(value).split(":")[0]
    return source if ":" in str(value) and re.fullmatch(r"[\w.-]+", source) else ""


def _variables(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(name): each for name, each in value.items()}
    pairs = (str(each).partition("=") for each in _list(value))
    return {name: text for name, _, text in pairs}


def _is_on_loopback(port: Any) -> bool:
    if isinstance(port, dict):
        return str(port.get("host_ip", "")).startswith(_LOOPBACK)
    return str(port).startswith(_LOOPBACK) and ":" in str(port)


def _port_text(port: Any) -> str:
    if isinstance(port, dict):
        return f"{port.get('published', '')}:{port.get('target', '')}"
    return str(port)
