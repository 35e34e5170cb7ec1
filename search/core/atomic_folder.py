"""Write a folder of results so that it appears whole or not at all."""

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
def fill_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `folder` when the context ends without an error.

    An earlier folder of that name is replaced; a caller that must not replace one checks before.

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
        # Written to the disk before the rename, or a power cut could leave the new name with empty
        # files.
        for file in beside.iterdir():
            if not file.is_symlink():
                _sync(file)
        if folder.exists():
            # A folder cannot be renamed onto one that has files, so the old one steps aside first.
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
    """Return the report in a folder; None if there is none that can be read."""
    try:
        document = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document, indented, in the order given.

    Raises:
        ValueError: for a number that is not finite, which JSON does not have.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
