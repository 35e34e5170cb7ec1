"""Write a corpus whose speakers' folders are links to where somebody's audio lies."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from search.core.atomic_folder import fill_folder
from search.core.errors import UsageError
from search.data.imports.folders import read_folders, read_voxceleb
from search.data.imports.foreign_corpus import ForeignCorpus, ForeignUtterance
from search.data.imports.kaldi import read_kaldi
from search.data.imports.pair_names import read_pairs_by_name
from search.data.imports.table import read_table
from spkmodel.core.shell import quote_path
from spkmodel.data import splits
from spkmodel.data.corpus import Corpus, open_corpus
from spkmodel.data.formats.utterance_path import utterance_problem
from spkmodel.data.lists import (
    DEV_LIST,
    TEST_LIST,
    TRAIN_LIST,
    CorpusError,
    ListError,
    Pair,
    TrainEntry,
    write_pairs,
    write_train_list,
)

_LONGEST_NAME = 200
Form = Literal["kaldi", "csv", "folders", "voxceleb"]


@dataclass(frozen=True)
class ImportedCorpus:
    """What an import has made."""

    utterances: int
    speakers: dict[str, int]
    linked_speakers: int
    copied_files: int
    """Files whose names a list cannot hold; hard links where the file system allows."""
    notices: list[str]
    """What was left out, for people."""


def import_corpus(
    sources: Sequence[Path],
    form: Form,
    folder: Path,
    dev: Path | None = None,
    test: Path | None = None,
    seed: int = 0,
) -> ImportedCorpus:
    """Make `folder` a corpus of some folders of audio in another form, in one step.

    Speakers of pairs are not trained on. Where no list of dev pairs is given, dev speakers are held
    out of the others, by the seed, as for every corpus without one.

    Args:
        sources: folders (or a table) of the same form; their utterances are put together.
        form: what they are.
        folder: must be missing or empty.
        dev: a list of dev pairs, in Kaldi's order or ours.
        test: a list of test pairs; by default the one that lies in the sources.
        seed: of pairs that are drawn, where the corpus has splits but no pairs.

    Raises:
        UsageError: for sources of another form, or a folder that has something in it.
        ListError: for a wrong line of theirs.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{quote_path(folder)} is there already; name a new folder: --to FOLDER")
    read = _reader(form)
    found = [read(source) for source in sources]
    utterances = _put_together(found)
    lists = [each.test_list for each in found if each.test_list is not None]
    if test is None and len(lists) > 1:
        raise UsageError(
            f"several lists of pairs: {', '.join(map(quote_path, lists))}; choose one: --test FILE"
        )
    test = test or next(iter(lists), None)
    with fill_folder(folder) as building:
        path_of, copied = _link_speakers(building, utterances)
        _write_lists(building, utterances, path_of, dev, test, seed)
        try:
            corpus = open_corpus(building, seed)
        except (CorpusError, ListError) as error:
            # What is wrong is in what was imported; the folder that it names is about to go.
            raise UsageError(str(error).replace(str(building), str(folder))) from error
    names = ("train", "dev", "test")
    return ImportedCorpus(
        utterances=len(corpus.utterances()),
        speakers={name: _count_speakers(corpus, name) for name in names},
        linked_speakers=sum(path.is_symlink() for path in folder.iterdir()),
        copied_files=copied,
        notices=[notice for each in found for notice in each.notices]
        + ([] if corpus.test_pairs else [_describe_missing_test_pairs(folder)]),
    )


def _describe_missing_test_pairs(folder: Path) -> str:
    return (
        "there are no test pairs, so promote will give no test EER: import again with --test FILE, "
        "or, where each speaker has a folder, make a corpus with `wav` in it and let `spksearch "
        f"corpus split` draw them: mkdir {quote_path(folder)}-split && ln -s THE_SPEAKERS "
        f"{quote_path(folder)}-split/wav && spksearch corpus split {quote_path(folder)}-split"
    )


def _reader(form: Form) -> Callable[[Path], ForeignCorpus]:
    match form:
        case "kaldi":
            return read_kaldi
        case "csv":
            return read_table
        case "folders":
            return read_folders
        case "voxceleb":
            return read_voxceleb
        case _:
            assert_never(form)


def _put_together(found: Sequence[ForeignCorpus]) -> list[ForeignUtterance]:
    utterances = {each.name: each for corpus in found for each in corpus.utterances}
    total = sum(len(corpus.utterances) for corpus in found)
    if len(utterances) < total:
        raise UsageError(
            f"{total - len(utterances)} names of utterances are there twice; import the folders "
            "one by one"
        )
    return list(utterances.values())


def _link_speakers(
    folder: Path, utterances: Sequence[ForeignUtterance]
) -> tuple[dict[str, str], int]:
    """Make a folder of each speaker; return each utterance's path below, and the copies made.

    A link may lead out of a corpus only in the first place of a path, so each speaker has one.
    """
    of_speaker: dict[str, list[ForeignUtterance]] = {}
    for each in utterances:
        of_speaker.setdefault(each.speaker, []).append(each)
    path_of: dict[str, str] = {}
    names: dict[str, str] = {}
    copied = 0
    for speaker, some in of_speaker.items():
        name = _plain_name(speaker)
        if len(name.encode()) > _LONGEST_NAME:
            raise UsageError(f"speaker {speaker[:40]!a}... has too long a name for a folder")
        if names.setdefault(name, speaker) != speaker:
            raise UsageError(f"speakers {speaker!a} and {names[name]!a} would both be {name}")
        top = Path(os.path.commonpath([each.file.absolute().parent for each in some]))
        below = {each.name: each.file.absolute().relative_to(top).as_posix() for each in some}
        if any(utterance_problem(path) for path in below.values()):
            below = _copy_files(folder / name, some)
            copied += len(below)
        else:
            (folder / name).symlink_to(top)
        path_of |= {utterance: f"{name}/{path}" for utterance, path in below.items()}
    return path_of, copied


def _plain_name(name: str) -> str:
    """Return a name that a list and a folder can have; `wav` is not a speaker's folder."""
    plain = "".join(c if c.isprintable() and not c.isspace() and c != "/" else "_" for c in name)
    return f"_{plain}" if plain in ("", ".", "..", "wav") or plain.startswith("~") else plain


def _copy_files(folder: Path, utterances: Sequence[ForeignUtterance]) -> dict[str, str]:
    folder.mkdir()
    below: dict[str, str] = {}
    for number, each in enumerate(utterances):
        name = _plain_name(each.file.name)
        name = name if name not in below.values() else f"{number}_{name}"
        try:
            os.link(each.file.resolve(), folder / name)
        except OSError:
            shutil.copyfile(each.file, folder / name)
        below[each.name] = name
    return below


def _write_lists(
    folder: Path,
    utterances: Sequence[ForeignUtterance],
    path_of: Mapping[str, str],
    dev: Path | None,
    test: Path | None,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    entry_of = {
        path_of[each.name]: TrainEntry(_plain_name(each.speaker), path_of[each.name])
        for each in utterances
    }
    paired: set[str] = set()
    for name, split, path in ((DEV_LIST, "dev", dev), (TEST_LIST, "test", test)):
        members = [entry_of[path_of[each.name]] for each in utterances if each.split == split]
        paired |= {entry.speaker for entry in members}
        pairs: list[Pair] = []
        if path is not None:
            pairs = read_pairs_by_name(path, path_of)
        elif members:
            pairs = splits.balanced_pairs(members, splits.PAIRS, rng)
        if pairs:
            paired |= {entry_of[side].speaker for p in pairs for side in (p.enrolment, p.test)}
            write_pairs(folder / name, pairs)
    train = [entry for entry in entry_of.values() if entry.speaker not in paired]
    if train:
        write_train_list(folder / TRAIN_LIST, train)


def _count_speakers(corpus: Corpus, split: str) -> int:
    return len({corpus.speaker_of[path] for path in corpus.of_split(split)})
