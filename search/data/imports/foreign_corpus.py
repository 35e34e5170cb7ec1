"""What every form of corpus is read into: utterances with their speakers and files, and pairs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.core.errors import UsageError
from spkmodel.core.shell import quote_path
from spkmodel.data.formats.existing import is_file
from spkmodel.data.formats.other_lists import conversion_command
from spkmodel.data.formats.suffixes import READ, is_audio, is_read

_FIRST = 10


@dataclass(frozen=True, slots=True)
class ForeignUtterance:
    """One utterance of somebody's corpus."""

    name: str
    """What its lists call it."""
    speaker: str
    file: Path
    split: str = ""
    """train, dev or test, if the corpus says so."""


@dataclass(frozen=True)
class ForeignCorpus:
    """The utterances of somebody's corpus, and the list of pairs that belongs to it."""

    utterances: Sequence[ForeignUtterance]
    test_list: Path | None = None
    notices: Sequence[str] = field(default_factory=tuple)
    """What was left out, for people."""


def find_file(path: Path) -> Path | None:
    """Return the file of a path that may have been converted: the one that is read, if any."""
    # What follows the dot in another name is a part of the name.
    has_format = path.name and (path.suffix == "" or is_audio(path.name))
    for suffix in (path.suffix, *READ) if has_format else ():
        candidate = path.with_suffix(suffix)
        if is_read(candidate.name) and is_file(candidate):
            return candidate
    return path if is_file(path) else None


def require_usable(where: Path, files: Mapping[str, Path | None]) -> None:
    """Raise an error if files are missing or in a format that is not read.

    Args:
        where: the list or folder that names them.
        files: by the name that it gives them, as `find_file` has found them.

    Raises:
        UsageError: with the first ten, and the command that converts them.
    """
    missing = [name for name, file in files.items() if file is None]
    if missing:
        raise UsageError(
            f"{quote_path(where)}: {len(missing)} of {len(files)} files are not there: "
            f"{_format_first(missing)}; paths are taken as they are, or relative to "
            f"{quote_path(where if where.is_dir() else where.parent)}"
        )
    others = [file for file in files.values() if file is not None and not is_read(file.name)]
    audio = [file for file in others if is_audio(file.name)]
    if audio:
        top = _common_folder(audio)
        commands = " && ".join(
            conversion_command(top, suffix) for suffix in sorted({file.suffix for file in audio})
        )
        raise UsageError(
            f"{quote_path(where)}: {len(audio)} of {len(files)} files are in a format that is not "
            f"read: {_format_first(list(map(str, audio)))}; convert them, then import again: "
            f"{commands}"
        )
    if others:
        raise UsageError(
            f"{quote_path(where)}: {len(others)} of {len(files)} files are no audio by their "
            f"names: {_format_first(list(map(str, others)))}; an utterance is a .wav, .flac, "
            ".ogg or .m4a file, or of another format of audio"
        )


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.absolute().parent for file in files]))


def _format_first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
    return ", ".join(quote_path(name) for name in names[:_FIRST]) + more
