"""Write folders of results, and secrets, so that they appear whole or not at all."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.core.errors import EnvironmentSetupError
from spkmodel.core.temporary import remove_abandoned, temporary_beside

REPORT = "report.json"


@contextmanager
def fill_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, which becomes `folder` when the context ends without an error.

    An earlier folder of that name is replaced; a caller that must not replace one checks before.

    Raises:
        EnvironmentSetupError: if nothing can be written there.
    """
    beside = temporary_beside(folder)
    remove_abandoned(folder.parent)
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
            old = temporary_beside(folder)
            folder.rename(old)
            beside.rename(folder)
            shutil.rmtree(old)
        else:
            beside.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole, in place of the one that is there.

    Raises:
        EnvironmentSetupError: if nothing can be written there.
    """
    beside = temporary_beside(path)
    try:
        beside.write_bytes(content)
        _sync(beside)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise EnvironmentSetupError(
            f"cannot write {path}: {error.strerror}; choose another file"
        ) from error


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


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


def write_secret_once(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole, unless there is one, which is then kept.

    Raises:
        EnvironmentSetupError: if the one that is there can be read by others.
        OSError: if it cannot be written.
    """
    beside = temporary_beside(path)
    # Written aside and then linked: two commands at once must not use half a secret or two secrets.
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(beside, path)  # fails where one is there already
    except FileExistsError:
        require_private(path)
    finally:
        beside.unlink()


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in place of the one that is there, whole.

    Raises:
        OSError: if it cannot be written.
    """
    beside = temporary_beside(path)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)


def require_private(path: Path) -> None:
    """Require that a secret's file is ours, and that nobody else can read it.

    Raises:
        EnvironmentSetupError: if others can read it, or it belongs to another user.
    """
    status = path.stat()
    # The owner of a file may change its mode and contents at any time.
    if status.st_uid not in (os.geteuid(), 0):
        raise EnvironmentSetupError(
            f"{path} holds a secret and belongs to another user; move it away, and a new one is "
            "made"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise EnvironmentSetupError(
            f"{path} holds a secret that others can read; if other people use this machine remove "
            f"it, and a new one is made, else: chmod 600 {path}"
        )
