"""Reach a URI of a store: `s3://`, `gs://`, `abfs://` or `file://`, through pyarrow."""

import re
from typing import Any

BLOCK_BYTES = 4 << 20
"""Read and written at a time."""

_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "file")
_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.I)


def is_uri(place: str) -> bool:
    """Return whether a store or a corpus is named by a URI rather than a path."""
    return _URI.match(place) is not None


def open_filesystem(uri: str) -> tuple[Any, str]:
    """Open the file system of a URI; return it with the path there.

    Raises:
        StoreError: for a scheme that is not supported, or a malformed URI.
    """
    # Not above: the command line asks `is_uri`, and the store imports torch, which takes seconds.
    from spkmodel.data.store import StoreError

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


def read_small_file(system: Any, path: str, most: int) -> bytes | None:
    """Read a file of at most `most` bytes; None if it is not there."""
    from spkmodel.data.store import StoreError

    try:
        with system.open_input_stream(path) as source:
            data: bytes = source.read(most + 1)
    except FileNotFoundError:
        return None
    if len(data) > most:
        raise StoreError(f"{path}: over {most} bytes")
    return data
