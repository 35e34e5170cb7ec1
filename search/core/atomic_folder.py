"""A folder of results appears whole or not at all."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.core.errors import EnvironmentSetupError

REPORT = "report.json"


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write into, which takes its place when the context ends well.

    An earlier folder of that name is replaced; whoever must not replace one looks before.

    Raises:
        EnvironmentSetupError: if nothing can be written there.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        beside.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentSetupError(
            f"cannot write into {folder.parent}: {error.strerror}; choose another folder"
        ) from error
    try:
        yield beside
        for file in beside.iterdir():
            _sync(file)
        if folder.exists():
            old = beside.with_suffix(".old")
            folder.rename(old)
            beside.rename(folder)
            shutil.rmtree(old)
        else:
            beside.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report in a folder; None if there is none that can be read."""
    try:
        document = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Indented, in the order given; a number that is not finite is an error."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
