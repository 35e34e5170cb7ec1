"""shellcheck and hadolint, where they are installed: `pip install 'spksearch[cluster]'`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.cluster.files.findings import Finding

_SECONDS = 60


class Missing(Exception):
    """A tool that is not installed; says what was not checked."""


def shellcheck(script: str, first_line: int = 1) -> list[Finding]:
    """What shellcheck says of a Bash script that begins in `first_line` of its file.

    Raises:
        Missing: without shellcheck.
    """
    said = _asked("shellcheck", ["--shell=bash", "--severity=info", "--format=json", "-"], script)
    return [
        Finding(each["line"] + first_line - 1, f"SC{each['code']}", each["message"])
        for each in said
    ]


def hadolint(dockerfile: str) -> list[Finding]:
    """What hadolint says of a Dockerfile.

    Raises:
        Missing: without hadolint.
    """
    said = _asked("hadolint", ["--no-fail", "--format=json", "-"], dockerfile)
    return [
        Finding(each["line"], each["code"], each["message"])
        for each in said
        if each["level"] in ("error", "warning", "info")
    ]


def _asked(tool: str, arguments: Sequence[str], text: str) -> list[dict[str, Any]]:
    found = program(tool)
    if found is None:
        raise Missing(f"{tool} is not installed (pip install 'spksearch[cluster]')")
    answer = subprocess.run(
        [found, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    try:
        return json.loads(answer.stdout)
    except ValueError:
        raise Missing(f"{tool} failed: {answer.stderr.strip()[-200:]}") from None


def program(tool: str) -> str | None:
    """Beside our Python, where its wheel puts it, or on the PATH."""
    beside = Path(sys.executable).parent / tool
    return str(beside) if beside.is_file() else shutil.which(tool)
