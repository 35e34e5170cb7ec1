"""Publish a store at a URI."""

from pathlib import Path

from spkmodel.core.progress import Progress, silent
from spkmodel.data import store_uri
from spkmodel.data.store import StoreError
from spkmodel.data.store_manifest import (
    MANIFEST,
    Manifest,
    describe_files,
    encode_manifest,
    parse_manifest,
    read_manifest_bytes,
)


def publish_store(
    folder: Path,
    contents: str,
    uri: str,
    evaluation_folder: Path | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Copy the files of a store, and those that only an evaluation reads, to a URI.

    Args:
        folder: of the store.
        contents: hash of its contents, as `Store.sha256`.
        uri: where it goes.
        evaluation_folder: with the files that only an evaluation reads.
        progress: told bytes.

    Raises:
        StoreError: if another store is there; one in use must not change under its searches.
    """
    files = describe_files(folder)
    evaluation_files = describe_files(evaluation_folder) if evaluation_folder else {}
    text = encode_manifest(contents, files, evaluation_files)
    manifest = parse_manifest(text, uri)
    system, base = store_uri.open_filesystem(uri)
    found = read_manifest_bytes(system, base)
    if found == text:
        return manifest
    if found is not None:
        raise StoreError(f"{uri}: another store is there; publish this one at a URI of its own")
    system.create_dir(base, recursive=True)
    sources = [folder / name for name in files]
    if evaluation_folder is not None:
        sources += [evaluation_folder / name for name in evaluation_files]
    total = sum(part.bytes for part in [*files.values(), *evaluation_files.values()])
    done = 0
    for source in sources:
        with source.open("rb") as file, system.open_output_stream(f"{base}/{source.name}") as out:
            while block := file.read(store_uri.BLOCK_BYTES):
                out.write(block)
                done += len(block)
                progress(done, total)
    # Last, since a store is published once its manifest is there.
    with system.open_output_stream(f"{base}/{MANIFEST}") as out:
        out.write(text)
    return manifest
