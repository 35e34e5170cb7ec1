"""Check Dockerfiles with hadolint, and for secrets in a layer."""

import re
from collections.abc import Iterator

from search.cluster.files import security, tools
from search.cluster.files.findings import Finding

_FIRST = re.compile(r"\s*(?:FROM|ARG)\s", re.I)


def is_dockerfile(text: str) -> bool:
    """Return whether a text starts as a Dockerfile does, and has a FROM."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return (
        bool(lines) and bool(_FIRST.match(lines[0])) and bool(re.search(r"^\s*FROM\s", text, re.M))
    )


def check(text: str) -> tuple[list[Finding], list[str]]:
    """Return everything that is wrong with a Dockerfile, and what could not be checked."""
    findings = list(_check_security(text))
    try:
        return sorted({*findings, *tools.run_hadolint(text)}), []
    except tools.ToolMissing as reason:
        return sorted(set(findings)), [str(reason)]


def _check_security(text: str) -> Iterator[Finding]:
    for line, message in security.check_commands(text):
        yield Finding(line + 1, "", message)
    for number, content in enumerate(text.splitlines(), 1):
        if not content.lstrip().startswith("#"):
            for message in security.check_versions_in(content, security.find_ray_version()):
                yield Finding(number, "", message)
