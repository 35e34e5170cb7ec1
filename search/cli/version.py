"""Tell the version, and in a clone the commit."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_SECONDS = 5.0


def describe_version(code: Path) -> str:
    """Return the installed version, with the commit where the code lies in a clone of its own."""
    try:
        number = version("spksearch")
    except PackageNotFoundError:
        number = "unknown (not installed)"
    commit = read_commit(code)
    return f"spksearch {number} ({commit})" if commit else f"spksearch {number}"


def read_commit(code: Path) -> str:
    """Return the commit of a clone, marked `dirty` where tracked files differ from it; else ''."""
    # The folder itself must be the clone: installed packages may lie inside somebody else's.
    if not (code / ".git").exists():
        return ""
    try:
        commit = _git(code, "rev-parse", "--short=8", "HEAD")
        changed = _git(code, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        # Without git, or in a clone that git refuses to read, the number alone is still right.
        return ""
    return f"commit {commit}, dirty" if changed else f"commit {commit}"


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    return done.stdout.strip()
