"""Find the folders of speakers in a folder that is laid out in another way than a corpus."""

import os
from pathlib import Path

from spkmodel.data.formats.suffixes import is_audio

_MOST_ENTRIES = 20_000
"""Looked at to tell what a folder is."""


def find_speaker_folders(top: Path) -> tuple[Path, list[str]]:
    """Return the folder whose subfolders have audio in them, and their names; none if none.

    A folder with one such subfolder is passed through: the speakers are further down.
    """
    left = _MOST_ENTRIES
    while True:
        speakers = []
        for path in sorted(top.iterdir()):
            has_audio, left = _has_audio(path, left)
            speakers += [path.name] if has_audio else []
        if len(speakers) != 1:
            return top, speakers
        top = top / speakers[0]


def _has_audio(folder: Path, left: int) -> tuple[bool, int]:
    """Return whether audio lies below a folder, and how many more entries may be looked at."""
    if not folder.name.startswith(".") and not folder.is_symlink():
        for _, _, names in os.walk(folder):
            left -= 1 + len(names)
            if left < 0:
                break
            if any(map(is_audio, names)):
                return True, left
    return False, left
