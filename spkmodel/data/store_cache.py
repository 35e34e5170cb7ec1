"""Fetch published stores to this node, once for all trainings that run on it."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from spkmodel.core.progress import Progress, silent
from spkmodel.core.temporary import remove_abandoned, temporary_beside
from spkmodel.data import store_uri
from spkmodel.data.store import StoreError
from spkmodel.data.store_manifest import (
    MANIFEST,
    Manifest,
    StorePart,
    parse_manifest,
    read_manifest,
    read_manifest_bytes,
)

_SPARE_BYTES = 1 << 30
"""Left free on the disk of the cache."""


def cache_folder() -> Path:
    """Return the folder of this node's cache: `$SPKSEARCH_CACHE`, else a folder in /tmp.

    Raises:
        StoreError: if the folder in /tmp is not ours alone.
    """
    named = os.environ.get("SPKSEARCH_CACHE")
    if named:
        return Path(named).absolute()
    folder = Path(tempfile.gettempdir()) / f"spksearch-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StoreError(f"{folder}: others can write there; name a folder by SPKSEARCH_CACHE")
    return folder


def fetch_store(
    uri: str, sha256: str, below: Path | None = None, name: str = "", progress: Progress = silent
) -> Path:
    """Fetch the store at a URI into the cache if it is not there yet, and return its folder.

    If several processes of a node ask for it, one fetches and the others wait. A store with another
    hash than expected is refused and removed.

    Args:
        uri: where it was published.
        sha256: of its manifest.
        below: where to keep it; by default the cache of this node.
        name: of its folder there; by default from its hash.
        progress: told bytes.

    Raises:
        StoreError: if it is not the store that the search recorded, there is no room for it, or
            this node's disk fails (which says nothing about the search's storage).
    """
    below = below or cache_folder()
    try:
        return _fetch_once(uri, sha256, below, name, progress)
    except OSError as error:
        raise StoreError(
            f"{uri} cannot be fetched into {below} on {socket.gethostname()}: "
            f"{error.strerror or error}"
        ) from None


def _fetch_once(uri: str, sha256: str, below: Path, name: str, progress: Progress) -> Path:
    below.mkdir(parents=True, exist_ok=True)
    folder = below / (name or sha256[:16])
    if _is_whole(folder, sha256):
        return folder
    with node_lock(below / f".{folder.name}.lock"):
        # Another process may have fetched it while this one waited for the lock.
        if _is_whole(folder, sha256):
            return folder
        remove_abandoned(below)  # of fetches that were killed
        beside = temporary_beside(folder)
        try:
            _fetch_files(uri, sha256, beside, progress)
            if folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return folder


def fetch_evaluation_files(uri: str, manifest: Manifest, folder: Path) -> None:
    """Fetch the files that only an evaluation reads into a folder.

    Raises:
        StoreError: if a file is not what the manifest says.
    """
    system, base = store_uri.open_filesystem(uri)
    for name, part in manifest.evaluation_files.items():
        _fetch_file(system, f"{base}/{name}", folder / name, part)


def verify_store(uri: str) -> None:
    """Read every file of the store at a URI and compare it with the manifest; keep nothing.

    Raises:
        StoreError: if a file is not what the manifest says.
    """
    there = read_manifest(uri)
    system, base = store_uri.open_filesystem(uri)
    for name, part in {**there.files, **there.evaluation_files}.items():
        _copy_verified(system, f"{base}/{name}", None, part)


def _fetch_files(uri: str, sha256: str, folder: Path, progress: Progress) -> None:
    system, base = store_uri.open_filesystem(uri)
    there = read_manifest(uri)
    if there.sha256 != sha256:
        raise StoreError(
            f"{uri}: the store there has the hash {there.sha256[:16]}, the search was launched on "
            f"{sha256[:16]}; it has been published anew since"
        )
    free = shutil.disk_usage(folder.parent).free
    if there.bytes + _SPARE_BYTES > free:
        raise StoreError(
            f"{uri} has {there.bytes / 1e9:.1f} GB, {folder.parent} has {free / 1e9:.1f} GB free; "
            "name a folder with more room by SPKSEARCH_CACHE"
        )
    folder.mkdir()
    done = 0
    for name, part in there.files.items():
        _fetch_file(system, f"{base}/{name}", folder / name, part)
        done += part.bytes
        progress(done, there.bytes)
    # Files of two publications may have been mixed: the manifest must still be the same one.
    text = read_manifest_bytes(system, base)
    if text is None or parse_manifest(text, uri).sha256 != sha256:
        raise StoreError(f"{uri}: was published anew while it was fetched")
    _write_synced(folder / MANIFEST, text)


def _fetch_file(system: Any, path: str, target: Path, part: StorePart) -> None:
    with target.open("wb") as out:
        _copy_verified(system, path, out, part)
        out.flush()
        os.fsync(out.fileno())


def _copy_verified(system: Any, path: str, out: BinaryIO | None, part: StorePart) -> None:
    """Read a file, copy it to `out` unless that is None, and compare it with the manifest."""
    digest, size = hashlib.sha256(), 0
    try:
        with system.open_input_stream(path) as source:
            while block := source.read(store_uri.BLOCK_BYTES):
                size += len(block)
                if size > part.bytes:
                    break
                digest.update(block)
                if out is not None:
                    out.write(block)
    except FileNotFoundError as error:
        raise StoreError(
            f"{path} is not there, and its manifest says that it is; publish the corpus again, at "
            "a URI of its own"
        ) from error
    if size != part.bytes or digest.hexdigest() != part.sha256:
        raise StoreError(
            f"{path}: {size} bytes with the hash {digest.hexdigest()[:16]}, its manifest says "
            f"{part.bytes} with {part.sha256[:16]}; it is damaged, publish it again"
        )


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _is_whole(folder: Path, sha256: str) -> bool:
    """Return whether a folder holds the files that were verified when they were fetched."""
    # Sizes only: hashing a corpus at every start of a training would take minutes.
    try:
        kept = parse_manifest((folder / MANIFEST).read_bytes(), str(folder))
        sizes = {name: (folder / name).stat().st_size for name in kept.files}
    except (OSError, StoreError):
        return False
    return kept.sha256 == sha256 and all(
        sizes[name] == part.bytes for name, part in kept.files.items()
    )


@contextlib.contextmanager
def node_lock(path: Path) -> Iterator[None]:
    """Hold a lock on this node; the operating system releases it if the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
