"""Find audio beside the utterances of a corpus that is not read."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.corpus import Corpus
from spkmodel.data.formats.other_lists import conversion_command
from spkmodel.data.formats.suffixes import OTHER, READ


def find_ignored(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """Yield how many audio files of each other format lie beside the utterances, and the remedy."""
    for top in _folders(corpus):
        for suffix, found in sorted(_find_others(top).items()):
            # Where each has been converted, nothing is missing.
            is_missing = any(not any(_converted(each)) for each in found)
            remedy = conversion_command(top, suffix) if is_missing else ""
            yield f"{len(found)} {suffix} ignored, such as {quote_path(found[0])}", remedy


def _find_others(top: Path) -> dict[str, list[Path]]:
    """Return the audio files below a folder that are not read, by suffix."""
    found: dict[str, list[Path]] = {}
    for at, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            suffix = PurePosixPath(name).suffix
            if suffix.lower() in OTHER and not name.startswith("."):
                found.setdefault(suffix, []).append(Path(at) / name)
    return found


def _converted(file: Path) -> Iterator[bool]:
    return (file.with_suffix(suffix).is_file() for suffix in READ)


def _folders(corpus: Corpus) -> list[Path]:
    """Return the folders right below the corpus that have utterances in them."""
    tops = {PurePosixPath(path).parts[0] for path in corpus.utterances()} | {"wav"}
    folders = [corpus.folder / top for top in sorted(tops) if (corpus.folder / top).is_dir()]
    # Links of several speakers may lead to one folder, which is looked through once.
    return list({folder.resolve(): folder for folder in folders}.values())
