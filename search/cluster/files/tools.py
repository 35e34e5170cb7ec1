"""Run shellcheck and hadolint, if installed: `pip install 'spksearch[cluster]'`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.cluster.files.findings import Finding

_SECONDS = 60


class ToolMissing(Exception):
    """A tool is not installed; the message says which."""


def run_shellcheck(script: str, first_line: int = 1) -> list[Finding]:
    """Return what shellcheck finds in a Bash script that begins in `first_line` of its file.

    Raises:
        ToolMissing: without shellcheck.
    """
    said = _run("shellcheck", ["--shell=bash", "--severity=info", "--format=json", "-"], script)
    return [
        Finding(each["line"] + first_line - 1, f"SC{each['code']}", each["message"])
        for each in said
    ]


def run_hadolint(dockerfile: str) -> list[Finding]:
    """Return what hadolint finds in a Dockerfile.

    Raises:
        ToolMissing: without hadolint.
    """
    said = _run("hadolint", ["--no-fail", "--format=json", "-"], dockerfile)
    return [
        Finding(each["line"], each["code"], each["message"])
        for each in said
        if each["level"] in ("error", "warning", "info")
    ]


def _run(tool: str, arguments: Sequence[str], text: str) -> list[dict[str, Any]]:
    found = find_program(tool)
    if found is None:
        raise ToolMissing(f"{tool} is not installed (pip install 'spksearch[cluster]')")
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
        raise ToolMissing(f"{tool} failed: {answer.stderr.strip()[-200:]}") from None


def find_program(tool: str) -> str | None:
    """Return the path of a tool: beside our Python, where its wheel puts it, or on the PATH."""
    # An environment that is not activated does not have its tools on the PATH.
    beside = Path(sys.executable).parent / tool
    return str(beside) if beside.is_file() else shutil.which(tool)
