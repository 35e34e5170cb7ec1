"""Read the utterances and the speakers of a corpus off its folders.

Who speaks a pair's utterance is read off its path: the folder whose names tell the training
speakers apart, by default the first one below an optional `wav/`.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from spkmodel.data.lists import TRAIN_LIST, CorpusError, TrainEntry, utterance_problem

_SUFFIXES = (".wav", ".flac", ".ogg")


def find_utterances(folder: Path) -> list[TrainEntry]:
    """Return every audio file below `wav/<speaker>/`, sorted; hidden ones are skipped."""
    top = folder / "wav"
    if not top.is_dir():
        raise CorpusError(
            f"{folder} has neither {TRAIN_LIST} nor a folder wav; a corpus has "
            "wav/<speaker>/.../<utterance>.(wav|flac|ogg), or lists"
        )
    entries: list[TrainEntry] = []
    for at, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (Path(at) / name).is_symlink():
                raise CorpusError(
                    f"{Path(at) / name} is a link to a folder; only wav itself may be one"
                )
        for name in sorted(names):
            if name.lower().endswith(_SUFFIXES) and not name.startswith("."):
                entries.append(_layout_entry(folder, Path(at) / name))
    if not entries:
        raise CorpusError(f"{top} has no .wav, .flac or .ogg file in it")
    return entries


def _layout_entry(folder: Path, file: Path) -> TrainEntry:
    path = file.relative_to(folder)
    if problem := utterance_problem(path.as_posix()):
        raise CorpusError(f"{folder}: {problem}; rename it")
    if len(path.parts) < 3:
        raise CorpusError(f"{file} is in no speaker's folder; put it into wav/<speaker>/")
    return TrainEntry(speaker=path.parts[1], path=path.as_posix())


def speakers_by_folder(train: Sequence[TrainEntry], paired: Sequence[str]) -> dict[str, str]:
    """Return the speaker of every training and paired utterance; pairs are read off their folders.

    Raises:
        CorpusError: if the folders of an utterance do not tell its speaker.
    """
    speaker_of = {entry.path: entry.speaker for entry in train}
    depth, names = _speaker_folder_depth(train)
    for path in paired:
        if path not in speaker_of:
            folders = _folders(path)
            if len(folders) <= depth:
                raise CorpusError(
                    f"{path}: its folders do not tell who speaks; put utterances of pairs into "
                    "wav/<speaker>/, or where the training list has its speakers' folders"
                )
            speaker_of[path] = names.get(folders[depth], folders[depth])
    return speaker_of


def _speaker_folder_depth(train: Sequence[TrainEntry]) -> tuple[int, dict[str, str]]:
    """Return the first depth where each folder name has one speaker, and those speakers."""
    folders = [_folders(entry.path) for entry in train]
    for depth in range(min(map(len, folders), default=0)):
        names: dict[str, str] = {}
        for parts, entry in zip(folders, train, strict=True):
            if names.setdefault(parts[depth], entry.speaker) != entry.speaker:
                break
        else:
            return depth, names
    return 0, {}


def _folders(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts[:-1]
    return parts[1:] if parts[:1] == ("wav",) else parts
