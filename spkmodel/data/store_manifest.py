"""The manifest of a published store: size and hash of every file.

The manifest's own hash names the store and is what a search records. Files that only an evaluation
reads (the test pairs) are listed apart, so that a training never fetches them.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spkmodel.core import foreign_file
from spkmodel.data import store_uri
from spkmodel.data.store import StoreError

MANIFEST = "manifest.json"

_FORMAT = 1
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]*")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StorePart:
    """One file of a published store."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of a published store."""

    sha256: str
    """Of the manifest itself, and so of every file that it lists: the store's name."""
    contents: str
    """Of the corpus that was packed, as `Store.sha256`."""
    files: Mapping[str, StorePart]
    """What a training reads."""
    evaluation_files: Mapping[str, StorePart]
    """What only an evaluation reads."""

    @property
    def bytes(self) -> int:
        """Total size of the files that a training reads."""
        return sum(part.bytes for part in self.files.values())


def describe_files(folder: Path) -> dict[str, StorePart]:
    """Measure and hash the files of a folder; subfolders hold what every node makes itself."""
    parts = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and _NAME.fullmatch(path.name) and path.name != MANIFEST:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            parts[path.name] = StorePart(path.stat().st_size, sha256)
    return parts


def encode_manifest(
    contents: str, files: Mapping[str, StorePart], evaluation_files: Mapping[str, StorePart]
) -> bytes:
    """Encode a manifest as the JSON that is published; equal stores give equal bytes."""
    document = {
        "format": _FORMAT,
        "sha256": contents,
        "files": {name: asdict(part) for name, part in files.items()},
        "apart": {name: asdict(part) for name, part in evaluation_files.items()},
    }
    return json.dumps(document, indent=1, sort_keys=True).encode()


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Parse the JSON of a manifest; `where` is for messages.

    Raises:
        StoreError: if it is not a manifest, or one of an unknown format.
    """
    try:
        document = foreign_file.parse_json_object(text, MANIFEST)
        if document["format"] != _FORMAT:
            raise StoreError(f"{where}: format {document['format']}, known is {_FORMAT}")
        return Manifest(
            sha256=hashlib.sha256(text).hexdigest(),
            contents=str(document["sha256"]),
            files=_parse_parts(document["files"]),
            evaluation_files=_parse_parts(document["apart"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{where}: {MANIFEST} cannot be read ({error})") from error


def read_manifest(uri: str) -> Manifest:
    """Read the manifest of the store at a URI.

    Raises:
        StoreError: if no store is there, or one of an unknown format.
    """
    system, base = store_uri.open_filesystem(uri)
    text = read_manifest_bytes(system, base)
    if text is None:
        raise StoreError(
            f"{uri}: no {MANIFEST} there; a corpus is put at a URI by `spksearch corpus pack DIR "
            f"--to {uri}`"
        )
    return parse_manifest(text, uri)


def read_manifest_bytes(system: Any, base: str) -> bytes | None:
    """Read the bytes of the manifest below `base`; None if there is none."""
    return store_uri.read_small_file(system, f"{base}/{MANIFEST}", _MOST_BYTES)


def _parse_parts(document: dict[str, dict[str, Any]]) -> dict[str, StorePart]:
    parts = {name: StorePart(**part) for name, part in document.items()}
    for name, part in parts.items():
        # Whoever can write the manifest must not be able to write outside the cache's folder.
        if not _NAME.fullmatch(name) or name == MANIFEST:
            raise StoreError(f"{MANIFEST} names {name!r}, which is no file of a store")
        if not isinstance(part.bytes, int) or part.bytes < 0:
            raise StoreError(f"{MANIFEST}: {name} has {part.bytes} bytes")
    return parts
