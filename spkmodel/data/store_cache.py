"""A store at a URI: published once, fetched once per node, the same map for all its trainings.

What is published has a `manifest.json` with the size and hash of every file, written last; its own
hash names the store and is what a search records. The pairs that judge lie apart: whoever trains
never fetches them. `s3://`, `gs://`, `abfs://` and `file://` are reached through pyarrow.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from spkmodel.core.progress import Progress, silent
from spkmodel.data.store import StoreError

MANIFEST = "manifest.json"

_FORMAT = 1
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "file")
_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.I)
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]*")
_BLOCK = 4 << 20
_MOST_MANIFEST_BYTES = 1 << 20
_SPARE_BYTES = 1 << 30
"""Left free on the disk of the cache."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a published store."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What lies at a URI."""

    sha256: str
    """Of the manifest itself: of everything below it, and so the store's name."""
    contents: str
    """Of the corpus that was packed, as `Store.sha256`."""
    files: Mapping[str, Part]
    """What a training reads."""
    apart: Mapping[str, Part]
    """What only judging reads."""

    @property
    def bytes(self) -> int:
        """Of what a training reads."""
        return sum(part.bytes for part in self.files.values())


def is_uri(place: str) -> bool:
    """Whether a store or a corpus is named by a URI rather than a path."""
    return _URI.match(place) is not None


def publish(
    folder: Path, contents: str, uri: str, apart: Path | None = None, progress: Progress = silent
) -> Manifest:
    """Copy a store's files, and those of `apart`, to a URI; the manifest last.

    Raises:
        StoreError: if another store is there; one in use must not change under its searches.
    """
    parts = {"files": _parts(folder), "apart": _parts(apart) if apart else {}}
    document = {"format": _FORMAT, "sha256": contents}
    document |= {
        kind: {name: asdict(part) for name, part in named.items()} for kind, named in parts.items()
    }
    text = json.dumps(document, indent=1, sort_keys=True).encode()
    ours = _manifest(text, uri)
    system, base = _filesystem(uri)
    there = _read(system, f"{base}/{MANIFEST}", _MOST_MANIFEST_BYTES)
    if there == text:
        return ours
    if there is not None:
        raise StoreError(f"{uri}: another store is there; publish this one at a URI of its own")
    system.create_dir(base, recursive=True)
    total, done = sum(part.bytes for named in parts.values() for part in named.values()), 0
    for kind, source in (("files", folder), ("apart", apart)):
        for name in parts[kind]:
            assert source is not None
            with (
                (source / name).open("rb") as file,
                system.open_output_stream(f"{base}/{name}") as out,
            ):
                while block := file.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    progress(done, total)
    with system.open_output_stream(f"{base}/{MANIFEST}") as out:
        out.write(text)
    return ours


def manifest(uri: str) -> Manifest:
    """What lies there.

    Raises:
        StoreError: if it is no store, or one of an unknown format.
    """
    system, base = _filesystem(uri)
    text = _read(system, f"{base}/{MANIFEST}", _MOST_MANIFEST_BYTES)
    if text is None:
        raise StoreError(
            f"{uri}: no {MANIFEST} there; a corpus is put at a URI by `spksearch corpus pack DIR "
            f"--to {uri}`"
        )
    return _manifest(text, uri)


def cache() -> Path:
    """Where this node keeps what it has fetched: `$SPKSEARCH_CACHE`, else a folder in /tmp.

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


def fetched(
    uri: str, sha256: str, below: Path | None = None, name: str = "", progress: Progress = silent
) -> Path:
    """The folder of the store at a URI, fetched into the cache if it is not there yet.

    Of several processes of a node one fetches, the others wait for it. What does not have the hash
    that is expected is refused, and nothing of it stays.

    Args:
        uri: where it was published.
        sha256: of its manifest.
        below: where to keep it; by default the cache of this node.
        name: of its folder there; by default from its hash.
        progress: told bytes.

    Raises:
        StoreError: if it is not what the search recorded, or there is no room for it. A full or
            failing disk of this node is one too: it says nothing of the search's storage.
    """
    below = below or cache()
    try:
        return _fetched(uri, sha256, below, name, progress)
    except OSError as error:
        raise StoreError(
            f"{uri} cannot be fetched into {below} on {socket.gethostname()}: "
            f"{error.strerror or error}"
        ) from None


def _fetched(uri: str, sha256: str, below: Path, name: str, progress: Progress) -> Path:
    below.mkdir(parents=True, exist_ok=True)
    folder = below / (name or sha256[:16])
    if _is_whole(folder, sha256):
        return folder
    with _locked(below / f".{folder.name}.lock"):
        if _is_whole(folder, sha256):
            return folder
        for leftover in below.glob(f".{folder.name}.*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a fetch that was killed
        beside = below / f".{folder.name}.{secrets.token_hex(4)}.tmp"
        try:
            _fetch(uri, sha256, beside, progress)
            if folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return folder


def verify(uri: str) -> None:
    """Read all that lies at a URI, keeping nothing.

    Raises:
        StoreError: if a file is not what the manifest says.
    """
    there = manifest(uri)
    system, base = _filesystem(uri)
    for name, part in {**there.files, **there.apart}.items():
        _copy(system, f"{base}/{name}", None, part)


def fetch_apart(uri: str, of: Manifest, folder: Path) -> None:
    """Fetch what only judging reads into a folder.

    Raises:
        StoreError: if a file is not what the manifest says.
    """
    system, base = _filesystem(uri)
    for name, part in of.apart.items():
        _fetch_file(system, f"{base}/{name}", folder / name, part)


# --- inside --------------------------------------------------------------------------------------


def _fetch(uri: str, sha256: str, folder: Path, progress: Progress) -> None:
    system, base = _filesystem(uri)
    there = manifest(uri)
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
    text = _read(system, f"{base}/{MANIFEST}", _MOST_MANIFEST_BYTES)
    if text is None or _manifest(text, uri).sha256 != sha256:
        raise StoreError(f"{uri}: was published anew while it was fetched")
    _write(folder / MANIFEST, text)


def _fetch_file(system: Any, path: str, target: Path, part: Part) -> None:
    with target.open("wb") as out:
        _copy(system, path, out, part)
        out.flush()
        os.fsync(out.fileno())


def _copy(system: Any, path: str, out: BinaryIO | None, part: Part) -> None:
    """Read a file, into `out` if there is one, and hold it against its part of the manifest."""
    digest, size = hashlib.sha256(), 0
    try:
        with system.open_input_stream(path) as source:
            while block := source.read(_BLOCK):
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


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _is_whole(folder: Path, sha256: str) -> bool:
    """Whether a folder holds what was verified when it was fetched."""
    try:
        kept = _manifest((folder / MANIFEST).read_bytes(), str(folder))
        sizes = {name: (folder / name).stat().st_size for name in kept.files}
    except (OSError, StoreError):
        return False
    return kept.sha256 == sha256 and all(
        sizes[name] == part.bytes for name, part in kept.files.items()
    )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone on this node; the lock ends with the process at the latest."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _parts(folder: Path) -> dict[str, Part]:
    """Of the files of a folder; folders in it hold what is made anew elsewhere."""
    parts = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and _NAME.fullmatch(path.name) and path.name != MANIFEST:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            parts[path.name] = Part(path.stat().st_size, sha256)
    return parts


def _manifest(text: bytes, where: str) -> Manifest:
    try:
        document = json.loads(text)
        if document["format"] != _FORMAT:
            raise StoreError(f"{where}: format {document['format']}, known is {_FORMAT}")
        return Manifest(
            sha256=hashlib.sha256(text).hexdigest(),
            contents=str(document["sha256"]),
            files=_named_parts(document, "files"),
            apart=_named_parts(document, "apart"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{where}: {MANIFEST} cannot be read ({error})") from error


def _named_parts(document: dict[str, Any], kind: Literal["files", "apart"]) -> dict[str, Part]:
    parts = {name: Part(**part) for name, part in document[kind].items()}
    for name, part in parts.items():
        if not _NAME.fullmatch(name) or name == MANIFEST:
            raise StoreError(f"{MANIFEST} names {name!r}, which is no file of a store")
        if not isinstance(part.bytes, int) or part.bytes < 0:
            raise StoreError(f"{MANIFEST}: {name} has {part.bytes} bytes")
    return parts


def _filesystem(uri: str) -> tuple[Any, str]:
    """What reaches a URI, and the path there.

    Raises:
        StoreError: for one that nothing here reaches.
    """
    match = _URI.match(uri)
    scheme = match["scheme"].lower() if match else ""
    if scheme not in _SCHEMES:
        raise StoreError(
            f"{uri}: {scheme or 'that'} is not known; a store is at {', '.join(_SCHEMES)}://..., "
            "and one on NFS is mounted and named by its path, or by file:// to be copied to "
            "every node"
        )
    from pyarrow import ArrowInvalid, fs

    try:
        system, path = fs.FileSystem.from_uri(uri)
    except ArrowInvalid as error:
        raise StoreError(f"{uri}: not a URI of a store ({error})") from error
    return system, str(path).rstrip("/")


def _read(system: Any, path: str, most: int) -> bytes | None:
    """A small file; None if it is not there."""
    try:
        with system.open_input_stream(path) as source:
            data: bytes = source.read(most + 1)
    except FileNotFoundError:
        return None
    if len(data) > most:
        raise StoreError(f"{path}: over {most} bytes")
    return data
