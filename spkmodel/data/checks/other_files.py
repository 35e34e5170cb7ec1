"""Find files beside the utterances of a corpus that are not read, and count them by suffix."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.corpus import Corpus
from spkmodel.data.formats.other_lists import conversion_command
from spkmodel.data.formats.suffixes import OTHER, READ, is_audio, is_read, without_sources


def find_ignored(corpus: Corpus) -> Iterator[tuple[str, str, str]]:
    """Yield what lies beside the utterances and is not read, by suffix.

    Yields:
        The kind of finding, how many files there are, and the remedy.
    """
    for top in _folders(corpus):
        for suffix, found in sorted(_find_others(top).items()):
            first = quote_path(found[0])
            if not is_audio(found[0].name):
                yield "not_audio", f"{len(found)} {suffix or 'without suffix'}, such as {first}", ""
            elif suffix in OTHER:
                # Where each has been converted, nothing is missing.
                is_missing = any(not any(_converted(each)) for each in found)
                remedy = conversion_command(top, suffix) if is_missing else ""
                yield "ignored_format", f"{len(found)} {suffix} ignored, such as {first}", remedy
            else:
                text = f"{len(found)} {suffix} beside what they were converted to, such as {first}"
                yield "ignored_format", text, ""


def _find_others(top: Path) -> dict[str, list[Path]]:
    """Return the files below a folder that are not read, by suffix."""
    found: dict[str, list[Path]] = {}
    for at, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = sorted(name for name in names if not name.startswith("."))
        kept = {name for name in without_sources(shown) if is_read(name)}
        for name in shown:
            if name not in kept:
                found.setdefault(PurePosixPath(name).suffix.lower(), []).append(Path(at) / name)
    return found


def _converted(file: Path) -> Iterator[bool]:
    return (file.with_suffix(suffix).is_file() for suffix in READ)


def _folders(corpus: Corpus) -> list[Path]:
    """Return the folders right below the corpus that have utterances in them."""
    tops = {PurePosixPath(path).parts[0] for path in corpus.utterances()} | {"wav"}
    folders = [corpus.folder / top for top in sorted(tops) if (corpus.folder / top).is_dir()]
    # Links of several speakers may lead to one folder, which is looked through once.
    return list({folder.resolve(): folder for folder in folders}.values())
