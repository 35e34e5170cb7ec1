"""Ask for a file by a name that somebody else wrote."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether a file is there; False also for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
