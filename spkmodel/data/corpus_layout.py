"""Read the utterances and the speakers of a corpus off its folders.

Who speaks a pair's utterance is read off its path: the folder whose names tell the training
speakers apart, by default the first one below an optional `wav/`.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.foreign_folders import recognise_folder
from spkmodel.data.formats.other_lists import conversion_command
from spkmodel.data.formats.suffixes import READ, is_audio, without_sources
from spkmodel.data.formats.utterance_path import utterance_problem
from spkmodel.data.lists import (
    TRAIN_LIST,
    CorpusError,
    Report,
    TrainEntry,
    raise_problem,
)


def find_utterances(folder: Path, report: Report = raise_problem) -> list[TrainEntry]:
    """Return every audio file below `wav/<speaker>/`, sorted; hidden ones are skipped."""
    top = folder / "wav"
    if not top.is_dir():
        report(_without_wav(folder))
        return []
    entries: list[TrainEntry] = []
    suffixes: Counter[str] = Counter()
    for file, suffix in _walk_audio(top, report):
        suffixes[suffix] += 1
        if suffix in READ and (entry := _layout_entry(folder, file, report)) is not None:
            entries.append(entry)
    if not any(suffixes[suffix] for suffix in READ):
        report(_without_readable_audio(top, suffixes))
    return entries


def _walk_audio(top: Path, report: Report) -> Iterator[tuple[Path, str]]:
    """Yield every file of audio below a folder, also of formats that are not read; its suffix."""
    for at, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (Path(at) / name).is_symlink():
                link = quote_path(Path(at) / name)
                problem = f"{link} is a link to a folder; only wav itself may be one"
                report(CorpusError(problem, kind="link"))
        found = (name for name in names if is_audio(name) and not name.startswith("."))
        for name in without_sources(sorted(found)):
            yield Path(at) / name, PurePosixPath(name).suffix.lower()


def format_counts(suffixes: Counter[str]) -> str:
    """Format numbers of files by suffix: `3 .mp3, 1 .m4a`."""
    return ", ".join(f"{count} {suffix}" for suffix, count in suffixes.most_common())


def _without_readable_audio(top: Path, others: Counter[str]) -> CorpusError:
    problem = f"{quote_path(top)} has no .wav, .flac, .ogg, .m4a or other audio file in it"
    if not others:
        return CorpusError(problem, kind="no_audio")
    commands = " && ".join(conversion_command(top, suffix) for suffix in sorted(others))
    return CorpusError(
        f"{problem}, but {format_counts(others)}, which are not read; convert them",
        "other_format",
        commands,
    )


def _layout_entry(folder: Path, file: Path, report: Report) -> TrainEntry | None:
    path = file.relative_to(folder)
    if problem := utterance_problem(path.as_posix()):
        remedy = _renaming_command(folder / "wav") if " " in path.as_posix() else ""
        kind = "space_in_name" if remedy else "path"
        report(CorpusError(f"{quote_path(folder)}: {problem}; rename it", kind, remedy))
        return None
    if len(path.parts) < 3:
        report(
            CorpusError(
                f"{quote_path(file)} is in no speaker's folder; put it into wav/<speaker>/",
                kind="no_speaker",
            )
        )
        return None
    return TrainEntry(speaker=path.parts[1], path=path.as_posix())


def _renaming_command(top: Path) -> str:
    """Return the command that puts _ for every space in the names below a folder."""
    rename = 'mv "$1" "$(printf %s "$1" | tr " " _)"'
    return f"find {quote_path(top)}/ -depth -name '* *' -execdir sh -c '{rename}' _ {{}} ';'"


def _without_wav(folder: Path) -> CorpusError:
    """Return the error of a folder without lists and wav; names what it looks like."""
    problem = f"{quote_path(folder)} has neither {TRAIN_LIST} nor a folder wav"
    found = recognise_folder(folder)
    if found is not None:
        return CorpusError(f"{problem}, but {found.problem}", found.kind, found.remedy)
    return CorpusError(
        f"{problem}; a corpus has wav/<speaker>/.../<utterance>.(wav|flac|ogg|m4a|...), or lists",
        kind="no_corpus",
    )


def speakers_by_folder(
    train: Sequence[TrainEntry], paired: Sequence[str], report: Report = raise_problem
) -> dict[str, str]:
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
                report(
                    CorpusError(
                        f"{path}: its folders do not tell who speaks; put utterances of pairs into "
                        "wav/<speaker>/, or where the training list has its speakers' folders",
                        kind="no_speaker",
                    )
                )
                continue
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
