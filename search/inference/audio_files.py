"""Find the audio files that a user names: files, folders and lists."""

from collections.abc import Sequence
from pathlib import Path

from search.core.errors import UsageError
from spkmodel.core.shell import quote_path
from spkmodel.data.formats.suffixes import is_read

LIST_SUFFIXES = frozenset({".txt", ".lst", ".list", ".scp"})
_LARGEST_LIST = 1 << 28


def find_audio_files(named: Sequence[Path]) -> list[Path]:
    """Return the files that are named, in order, each once.

    A folder stands for all audio files below it, by name; a file that ends in .txt, .lst, .list or
    .scp for those on its lines: the whole line, or what follows its first word where that is a file
    and the whole line is none. Paths are relative to the list.

    Raises:
        UsageError: if something named is not there, or stands for no audio file.
    """
    found: list[Path] = []
    for path in named:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and is_read(p.name))
            if not inside:
                raise UsageError(f"{quote_path(path)}: no audio file below this folder")
            found += inside
        elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
            found += _read_list(path)
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"{quote_path(path)}: no such file or folder")
    return list(dict.fromkeys(found))


def _read_list(path: Path) -> list[Path]:
    if path.stat().st_size > _LARGEST_LIST:
        raise UsageError(f"{quote_path(path)}: larger than 256 MB; split it")
    found = []
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        _, _, rest = line.strip().partition(" ")
        whole, named = path.parent / line.strip(), path.parent / rest.strip()
        file = whole if whole.is_file() else named
        if not file.is_file():
            raise UsageError(f"{quote_path(path)}:{number}: no file {line.strip()[:80]!r}")
        found.append(file)
    if not found:
        raise UsageError(f"{quote_path(path)}: no file is named in it")
    return found
