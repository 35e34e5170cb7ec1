"""Read a folder of speakers' folders, with VoxCeleb's own lists or without any."""

import os
import re
from pathlib import Path, PurePosixPath

from search.core.errors import UsageError
from search.data.imports.foreign_corpus import ForeignCorpus, ForeignUtterance, require_usable
from spkmodel.core.shell import quote_path
from spkmodel.data.formats.speaker_folders import find_speaker_folders
from spkmodel.data.formats.suffixes import is_audio, without_sources

_VOXCELEB_SPEAKER = re.compile(r"id\d{5}")
_VOXCELEB_LISTS = ("veri_test2.txt", "veri_test.txt")


def read_folders(folder: Path) -> ForeignCorpus:
    """Return the audio below a folder; the folders right below the first that has several speak.

    Raises:
        UsageError: if there are no speakers' folders.
    """
    top, speakers = find_speaker_folders(folder.absolute())
    if len(speakers) < 2:
        raise UsageError(f"{quote_path(folder)}: no folders of several speakers with audio in them")
    return ForeignCorpus(
        [each for name in speakers for each in _read_speaker(top, top / name, name)]
    )


def read_voxceleb(folder: Path) -> ForeignCorpus:
    """Return the audio of VoxCeleb's speakers (`id10270/...`), and its list of pairs.

    Raises:
        UsageError: if there are no folders of such speakers.
    """
    speakers = [
        Path(at) / name
        for at, folders, _ in os.walk(folder.absolute())
        for name in sorted(folders)
        if _VOXCELEB_SPEAKER.fullmatch(name)
    ]
    if not speakers:
        raise UsageError(
            f"{quote_path(folder)}: no folders of VoxCeleb's speakers, which are called id10001 "
            "and so on"
        )
    utterances = [each for path in speakers for each in _read_speaker(path.parent, path, path.name)]
    lists = [folder / name for name in _VOXCELEB_LISTS if (folder / name).is_file()]
    return ForeignCorpus(utterances, lists[0] if lists else None)


def _read_speaker(top: Path, folder: Path, speaker: str) -> list[ForeignUtterance]:
    files: list[Path] = []
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found = (name for name in names if is_audio(name) and not name.startswith("."))
        files += [Path(at) / name for name in without_sources(sorted(found))]
    require_usable(folder, {str(file): file for file in files})
    return [
        ForeignUtterance(PurePosixPath(file.relative_to(top)).as_posix(), speaker, file)
        for file in files
    ]
