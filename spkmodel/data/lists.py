"""Read and write lists of training utterances and of pairs, in the formats of VoxCeleb's tools.

A path in a list is relative to the list's folder and is the utterance's id everywhere.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from spkmodel.core import foreign_file
from spkmodel.core.shell import quote_path
from spkmodel.core.temporary import temporary_beside
from spkmodel.data.formats import other_lists
from spkmodel.data.formats.utterance_path import utterance_problem

TRAIN_LIST = "train_list.txt"
DEV_LIST = "valid_trials.txt"
TEST_LIST = "test_trials.txt"
SPLITS = ("train", "dev", "test")
_MOST_SHOWN = 2000
"""Characters of a problem; a line may be of any length."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An enrolment and a test utterance; a target pair is of one speaker."""

    target: bool
    enrolment: str
    test: str


@dataclass(frozen=True, slots=True)
class TrainEntry:
    """An utterance of the training list and whose it is."""

    speaker: str
    path: str


class _Problem(ValueError):
    """What is wrong with a corpus; says what and what would be right."""

    def __init__(self, problem: str, kind: str = "corpus", remedy: str = "") -> None:
        self.problem = foreign_file.shorten(problem, _MOST_SHOWN)
        super().__init__(f"{self.problem}\nremedy: {remedy}" if remedy else self.problem)
        # A check groups by kind. A remedy is a command, and ends the message.
        self.kind, self.remedy = kind, remedy


class CorpusError(_Problem):
    """A corpus that cannot be used as it is."""


class ListError(_Problem):
    """A list that cannot be used; says where, what is wrong and what would be right."""

    def __init__(
        self, path: Path, line: int, problem: str, kind: str = "line", remedy: str = ""
    ) -> None:
        super().__init__(f"{quote_path(path)}:{line}: {problem}", kind, remedy)
        self.path = path
        self.line = line


Report = Callable[[CorpusError | ListError], None]
"""Called with a problem: raises it, or keeps it; the caller then goes on without what is wrong."""


def raise_problem(problem: CorpusError | ListError) -> None:
    """Raise the problem: the first one ends the reading."""
    raise problem


def read_train_list(path: Path, report: Report = raise_problem) -> list[TrainEntry]:
    """Read the entries of `<speaker> <path>` lines.

    Raises:
        ListError: for the first line that is not one, or an utterance that is listed twice.
    """
    return [entry for _, entry in read_numbered_entries(path, report)]


def read_numbered_entries(path: Path, report: Report) -> list[tuple[int, TrainEntry]]:
    """Read the entries of a training list, each with its line; wrong lines are reported."""
    entries: list[tuple[int, TrainEntry]] = []
    lines_of: dict[str, int] = {}
    paths = _PathReader(path, 1)
    for number, line in numbered_lines(path, report):
        try:
            speaker, utterance = _train_columns(paths, number, line)
            if utterance in lines_of:
                raise ListError(
                    path,
                    number,
                    f"{utterance} is already on line {lines_of[utterance]}; list each utterance "
                    "once",
                    kind="listed_twice",
                )
        except ListError as error:
            report(error)
            continue
        lines_of[utterance] = number
        entries.append((number, TrainEntry(speaker=speaker, path=utterance)))
    return entries


def read_pairs(path: Path, report: Report = raise_problem) -> list[Pair]:
    """Read the pairs of `<1|0> <path> <path>` lines; entry i stands on line i + 1.

    Raises:
        ListError: for the first line that is not one, or when a class is missing altogether.
    """
    return [pair for _, pair in read_numbered_pairs(path, report)]


def read_numbered_pairs(path: Path, report: Report) -> list[tuple[int, Pair]]:
    """Read the pairs of a list, each with its line; wrong lines are reported."""
    pairs: list[tuple[int, Pair]] = []
    paths = _PathReader(path, 2)
    wrong = 0
    for number, line in numbered_lines(path, report):
        try:
            pairs.append((number, _pair(paths, number, line)))
        except ListError as error:
            report(error)
            wrong += 1
    targets = sum(pair.target for _, pair in pairs)
    # Where lines are wrong, what they say may be what is missing.
    if not wrong and pairs and targets in (0, len(pairs)):
        kind = "target pairs (label 1)" if targets == 0 else "non-target pairs (label 0)"
        report(
            ListError(
                path,
                len(pairs),
                f"the list has no {kind}; an EER needs pairs of both",
                kind="one_class",
            )
        )
    return pairs


def write_train_list(path: Path, entries: Iterable[TrainEntry]) -> None:
    """Write `<speaker> <path>` lines, replacing `path` in one step."""
    _write(path, (f"{entry.speaker} {entry.path}" for entry in entries))


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write `<1|0> <path> <path>` lines, replacing `path` in one step."""
    _write(path, (f"{int(pair.target)} {pair.enrolment} {pair.test}" for pair in pairs))


def numbered_lines(path: Path, report: Report = raise_problem) -> Iterator[tuple[int, str]]:
    """Yield lines with numbers from 1; blank ones are allowed at the end only."""
    try:
        raw = foreign_file.read_bytes(path, foreign_file.MOST_LIST_BYTES)
    except foreign_file.ForeignFileError as error:
        report(ListError(path, 0, error.problem, kind="list"))
        return
    except OSError as error:
        report(ListError(path, 0, f"cannot be read: {error.strerror}", kind="list"))
        return
    lines = raw.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()
    if not lines:
        report(ListError(path, 1, "the list is empty; it needs one entry a line", "list"))
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            report(ListError(path, number, "not UTF-8 text; save the list as UTF-8", kind="list"))
            continue
        if not text.strip():
            report(ListError(path, number, "blank line inside the list; remove it"))
            continue
        yield number, text


class _PathReader:
    """Reads the paths of a list's lines; finds the remedy of absolute ones once."""

    def __init__(self, path: Path, paths: int) -> None:
        self.path = path
        self._paths = paths
        # A list of half a million pairs names each utterance again and again: one string is kept.
        self._read: dict[str, str] = {}

    def read(self, number: int, text: str) -> str:
        """Return a path in its one spelling.

        Raises:
            ListError: for what cannot be an utterance's path in a list.
        """
        if (known := self._read.get(text)) is not None:
            return known
        problem = utterance_problem(text)
        if not problem:
            self._read[text] = str(PurePosixPath(text))
            return self._read[text]
        if other_lists.is_absolute(text):
            raise self._absolute(number, text)
        raise ListError(self.path, number, problem, kind="path")

    def wrong_columns(
        self, number: int, line: str, found: other_lists.Recognised | None, wanted: str
    ) -> ListError:
        """Return the error of a line with other columns than wanted."""
        if found is not None:
            return ListError(self.path, number, found.problem, found.kind, found.remedy)
        folder = self.path.parent
        for path in other_lists.split_spaced(folder, line, self._paths):
            if other_lists.is_absolute(path):
                return self._absolute(number, path)
            if " " in path:
                return ListError(
                    self.path,
                    number,
                    f"path {quote_path(path)} has a space, which a list cannot hold",
                    "space_in_name",
                    other_lists.space_remedy(folder, _lists_beside(self.path), path),
                )
        columns = len(line.split())
        count = f"{columns} column{'' if columns == 1 else 's'}"
        return ListError(self.path, number, f"{count}; {wanted}", kind="columns")

    @cached_property
    def _absolute_remedy(self) -> str:
        paths_of: dict[Path, list[str]] = {}
        for path in _lists_beside(self.path):
            paths = 1 if path.name == TRAIN_LIST else 2
            if path == self.path:
                paths = self._paths
            for _, line in numbered_lines(path, lambda _: None):
                words = line.split()[1:]
                if len(words) != paths:
                    words = other_lists.split_spaced(path.parent, line, paths)
                paths_of.setdefault(path, []).extend(filter(other_lists.is_absolute, words))
        return other_lists.absolute_remedy(self.path.parent, paths_of)

    def _absolute(self, number: int, path: str) -> ListError:
        problem = f"path {quote_path(path)} is absolute; write it relative to the list's folder"
        return ListError(self.path, number, problem, "absolute_path", self._absolute_remedy)


def _lists_beside(path: Path) -> list[Path]:
    """Return the lists of a folder that are there, and the list itself."""
    beside = [path.with_name(name) for name in (TRAIN_LIST, DEV_LIST, TEST_LIST)]
    return list(dict.fromkeys([*(each for each in beside if each.is_file()), path]))


def _train_columns(paths: _PathReader, number: int, line: str) -> tuple[str, str]:
    columns = line.split()
    found = other_lists.recognise_train_line(paths.path, line)
    if found is not None or len(columns) != 2:
        wanted = "a training line is '<speaker> <path>'"
        raise paths.wrong_columns(number, line, found, wanted)
    return columns[0], paths.read(number, columns[1])


def _pair(paths: _PathReader, number: int, line: str) -> Pair:
    columns = line.split()
    found = other_lists.recognise_pair_line(paths.path, columns)
    if found is not None or len(columns) != 3:
        raise paths.wrong_columns(number, line, found, "a pair is '<1|0> <path> <path>'")
    label, enrolment, test = columns
    if label not in ("0", "1"):
        raise ListError(
            paths.path,
            number,
            f"label {label!a}; it must be 1 (same speaker) or 0 (different speakers)",
            kind="label",
        )
    return Pair(
        target=label == "1",
        enrolment=paths.read(number, enrolment),
        test=paths.read(number, test),
    )


def _write(path: Path, lines: Iterable[str]) -> None:
    beside = temporary_beside(path)
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{line}\n" for line in lines)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
