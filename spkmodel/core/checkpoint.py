"""Write, verify and read checkpoints: safetensors and JSON, no pickle."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from spkmodel.core import foreign_file

TENSORS = "tensors.safetensors"
STATE = "state.json"
_LARGEST_BYTES = 8 << 30

STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})
"""What a storage answers that is full, read-only or failing: no fault of who writes or reads."""


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or not the one that was recorded."""


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors and what JSON can hold, with the hash of both."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    sha256: str

    def below(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with `prefix` and a point, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }


def write(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> str:
    """Write a checkpoint so that it is there whole or not at all; its SHA-256.

    Both files are written beside, fsynced, and the folder renamed into place. A folder that is
    already there is replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    beside.mkdir()
    try:
        weights = save({name: tensor.contiguous() for name, tensor in tensors.items()})
        text = json.dumps(state, sort_keys=True, allow_nan=False).encode()
        _write_durably(beside / TENSORS, weights)
        _write_durably(beside / STATE, text)
        # A rename cannot replace a folder with files in it.
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
        # Without it, a power failure may undo the rename after it was reported.
        _fsync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return _hash(weights, text)


def size(folder: Path) -> int:
    """Return the size of both files in bytes."""
    return sum((folder / name).stat().st_size for name in (TENSORS, STATE))


def read(folder: Path, sha256: str | None = None) -> Checkpoint:
    """Read a checkpoint, refusing one whose hash is not `sha256`.

    Raises:
        CheckpointError: with the folder, what is wrong with it, and what to do.
    """
    tensor_bytes, state_bytes = _bytes_of(folder / TENSORS), _bytes_of(folder / STATE)
    found = _hash(tensor_bytes, state_bytes)
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"{folder}: the checkpoint's SHA-256 is {found[:16]}..., recorded was "
            f"{sha256[:16]}...: it was changed or damaged; use an earlier checkpoint"
        )
    try:
        state = foreign_file.parse_json_object(state_bytes, STATE)
        return Checkpoint(load(tensor_bytes), state, found)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{folder}: not a checkpoint of ours: {error}") from error


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; a checkpoint is a folder with {TENSORS} and {STATE}"
        )
    try:
        # The whole file is read into memory, so a damaged size must not exhaust it.
        with _named(path):
            return foreign_file.read_bytes(path, _LARGEST_BYTES)
    except foreign_file.ForeignFileError as error:
        raise CheckpointError(str(error)) from error


def _hash(weights: bytes, state: bytes) -> str:
    """Return the SHA-256 over both files, each preceded by its length."""
    digest = hashlib.sha256()
    # With the lengths, no byte can move from one file to the other unnoticed.
    for part in (weights, state):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _write_durably(path: Path, content: bytes) -> None:
    with _named(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with _named(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the path to an OSError of an open file, which does not name it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
