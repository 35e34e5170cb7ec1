"""Read files that somebody else gives: looked at before they are read, and read up to a limit.

A name may lead to a device that has no end, to a pipe that nobody writes into, or to a file larger
than the memory. What is wrong with a file is told as a fault of that file: which file, what is
wrong with it, and what would be right.
"""

import contextlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spkmodel.core.shell import quote_path

MOST_LIST_BYTES = 1 << 31
"""Of a list of utterances or pairs: ten times the largest public one."""

MOST_DOCUMENT_BYTES = 16 << 20
"""Of a JSON, TOML or YAML document."""

_PART_BYTES = 1 << 16

MOST_DEPTH = 50
"""Levels of objects and lists within each other; our own documents have under ten."""

MOST_SHOWN = 200
"""Characters of somebody else's text that a message shows."""


class ForeignFileError(ValueError):
    """A file that cannot be used: which one, what is wrong and what would be right."""

    def __init__(self, path: Path | str, problem: str) -> None:
        name = quote_path(path) if isinstance(path, Path) else path
        super().__init__(f"{name}: {problem}")
        self.problem = problem


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """Return the contents of a regular file; a link to one is followed.

    Raises:
        ForeignFileError: it is no regular file, or is larger than `most_bytes`.
        OSError: it is missing or cannot be read.
    """
    # Opening a device can already have effects, so its kind is looked at before as well as after.
    _require_regular(path, path.stat())
    # Without O_NONBLOCK a pipe put there in this moment would be waited for.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _require_regular(path, os.fstat(file.fileno()))
        size = os.fstat(file.fileno()).st_size
        raw = b""
        # In parts: asked for at once, memory for the limit would be taken whatever the size. It may
        # grow while it is read.
        while size <= most_bytes and (part := file.read(max(_PART_BYTES, size - len(raw) + 1))):
            raw += part
            size = max(size, len(raw))
    if size > most_bytes:
        raise ForeignFileError(path, f"has {size} bytes; at most {most_bytes} are read")
    return raw


def require_regular(path: Path) -> None:
    """Require that an existing path leads to a regular file, before a library opens it.

    Raises:
        ForeignFileError: if it leads to something else.
        OSError: it is missing or cannot be looked at.
    """
    _require_regular(path, path.stat())


def read_text(path: Path, most_bytes: int = MOST_DOCUMENT_BYTES) -> str:
    """Return the text of a UTF-8 file, without the mark that Windows puts before it.

    Raises:
        ForeignFileError: as `read_bytes`, or it is not UTF-8 text.
        OSError: it is missing or cannot be read.
    """
    return decode_text(read_bytes(path, most_bytes), path)


def decode_text(raw: bytes, source: Path | str) -> str:
    """Return a file's bytes as text, as `read_text` does."""
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ForeignFileError(source, f"line {line} is not UTF-8; save it as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ForeignFileError(source, f"line {line} has a NUL byte; a text file is wanted")
    return text


def read_json_object(path: Path, most_bytes: int = MOST_DOCUMENT_BYTES) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        ForeignFileError: as `read_text` and `parse_json_object`.
        OSError: it is missing or cannot be read.
    """
    return parse_json_object(read_bytes(path, most_bytes), path)


def parse_json_object(raw: bytes, source: Path | str) -> dict[str, Any]:
    """Return the JSON object of a file's bytes.

    Raises:
        ForeignFileError: it is not JSON, not an object, names a key twice, has a number that is
            not finite, or is nested deeper than any document of ours.
    """
    text = decode_text(raw, source)
    if not text.strip():
        raise ForeignFileError(source, "is empty; a JSON object is wanted")
    with blame_file(source, "JSON"):
        document = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            object_pairs_hook=_refuse_double_keys,
        )
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise ForeignFileError(source, f"holds a JSON {kind} where an object {{...}} is wanted")
    _require_shallow(document, source)
    return document


@contextlib.contextmanager
def blame_file(source: Path | str, form: str) -> Iterator[None]:
    """Turn what a parser raises over a file's contents into a fault of that file.

    Meant around the call of a parser only: any other `ValueError` in it would be blamed too.
    """
    try:
        yield
    except ForeignFileError:
        raise
    except RecursionError as error:
        message = f"is nested too deeply for {form}; at most {MOST_DEPTH} levels are read"
        raise ForeignFileError(source, message) from error
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError, LookupError) as error:
        why = shorten(str(error)) or type(error).__name__
        raise ForeignFileError(source, f"not {form}: {why}") from error


def shorten(text: str, most: int = MOST_SHOWN) -> str:
    """Return somebody else's text for a message: its middle left out where it is long."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def _require_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, "Is a directory", str(path))
    is_kind: tuple[tuple[Callable[[int], bool], str], ...] = (
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    kind = next((name for test, name in is_kind if test(found.st_mode)), "something else")
    raise ForeignFileError(path, f"is {kind}, not a regular file; write its contents into a file")


def _require_shallow(document: Any, source: Path | str) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise ForeignFileError(
                source, f"is nested too deeply; at most {MOST_DEPTH} levels are read"
            )
        parts = [p for each in level for p in (each.values() if isinstance(each, dict) else each)]
        level = [part for part in parts if isinstance(part, dict | list)]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _parse_float(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{shorten(text, 40)} is larger than any number here")
    return number


def _refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {shorten(repr(twice), 60)} is there twice; keep one")
    return found
