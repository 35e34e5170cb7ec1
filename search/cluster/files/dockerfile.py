"""Dockerfiles: hadolint, and no secret in a layer."""

import re
from collections.abc import Iterator

from search.cluster.files import security, tools
from search.cluster.files.findings import Finding

_FIRST = re.compile(r"\s*(?:FROM|ARG)\s", re.I)


def is_dockerfile(text: str) -> bool:
    """Whether its first instruction is one that a Dockerfile begins with, and it has a FROM."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return (
        bool(lines) and bool(_FIRST.match(lines[0])) and bool(re.search(r"^\s*FROM\s", text, re.M))
    )


def check(text: str) -> tuple[list[Finding], list[str]]:
    """Everything that is wrong with it, and what could not be checked."""
    findings = list(_of_security(text))
    try:
        return sorted({*findings, *tools.hadolint(text)}), []
    except tools.Missing as reason:
        return sorted(set(findings)), [str(reason)]


def _of_security(text: str) -> Iterator[Finding]:
    for line, message in security.command_problems(text):
        yield Finding(line + 1, "", message)
    for number, content in enumerate(text.splitlines(), 1):
        if not content.lstrip().startswith("#"):
            for message in security.of_versions(content, security.ray_version()):
                yield Finding(number, "", message)
