"""Say whether a path can be an utterance's path in a list."""

import re
from pathlib import PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.other_lists import is_absolute

_PLAIN = re.compile(r"[\w-]+(?:/[\w-]+)*\.\w+", re.ASCII)
"""Most paths, of which nothing else has to be asked: lists have a million of them."""


def utterance_problem(path: str) -> str:
    """Return why `path` cannot be an utterance's path in a list; empty if it can."""
    if _PLAIN.fullmatch(path):
        return ""
    if not path.isprintable() or any(c.isspace() for c in path):
        return (
            f"path {quote_path(path)} has a character that a list cannot hold; use visible ones, "
            "no spaces"
        )
    if is_absolute(path):
        return f"path {quote_path(path)} is absolute; write it relative to the list's folder"
    if ".." in PurePosixPath(path).parts:
        return f"path {quote_path(path)} has '..'; utterances must lie below the list's folder"
    if PurePosixPath(path) == PurePosixPath():
        return f"path {path!r} is the list's folder itself; it must be a file below it"
    return ""
