"""Read and write lists of training utterances and of pairs, in the formats of VoxCeleb's tools.

A path in a list is relative to the list's folder and is the utterance's id everywhere.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

TRAIN_LIST = "train_list.txt"
DEV_LIST = "valid_trials.txt"
TEST_LIST = "test_trials.txt"
SPLITS = ("train", "dev", "test")


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


class CorpusError(ValueError):
    """A corpus that cannot be used as it is; says what and what would be right."""


class ListError(ValueError):
    """A list that cannot be used; says where, what is wrong and what would be right."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.path = path
        self.line = line


def utterance_problem(path: str) -> str:
    """Return why `path` cannot be an utterance's path in a list; empty if it can."""
    if not path.isprintable() or any(c.isspace() for c in path):
        return f"path {path!a} has a character that a list cannot hold; use visible ones, no spaces"
    if PurePosixPath(path).is_absolute() or path.startswith("~"):
        return f"path {path} is absolute; write it relative to the list's folder"
    if ".." in PurePosixPath(path).parts:
        return f"path {path} has '..'; utterances must lie below the list's folder"
    if PurePosixPath(path) == PurePosixPath():
        return f"path {path!r} is the list's folder itself; it must be a file below it"
    return ""


def read_train_list(path: Path) -> list[TrainEntry]:
    """Read the entries of `<speaker> <path>` lines.

    Raises:
        ListError: for the first line that is not one, or an utterance that is listed twice.
    """
    entries: list[TrainEntry] = []
    lines_of: dict[str, int] = {}
    for number, line in numbered_lines(path):
        fields = line.split()
        if len(fields) != 2:
            raise ListError(
                path, number, f"{_columns(fields)}; a training line is '<speaker> <path>'"
            )
        utterance = _utterance(path, number, fields[1])
        if utterance in lines_of:
            raise ListError(
                path,
                number,
                f"{utterance} is already on line {lines_of[utterance]}; list each utterance once",
            )
        lines_of[utterance] = number
        entries.append(TrainEntry(speaker=fields[0], path=utterance))
    return entries


def read_pairs(path: Path) -> list[Pair]:
    """Read the pairs of `<1|0> <path> <path>` lines; entry i stands on line i + 1.

    Raises:
        ListError: for the first line that is not one, or when a class is missing altogether.
    """
    pairs = [_pair(path, number, line.split()) for number, line in numbered_lines(path)]
    targets = sum(pair.target for pair in pairs)
    if targets in (0, len(pairs)):
        kind = "target pairs (label 1)" if targets == 0 else "non-target pairs (label 0)"
        raise ListError(path, len(pairs), f"the list has no {kind}; an EER needs pairs of both")
    return pairs


def write_train_list(path: Path, entries: Iterable[TrainEntry]) -> None:
    """Write `<speaker> <path>` lines, replacing `path` in one step."""
    _write(path, (f"{entry.speaker} {entry.path}" for entry in entries))


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write `<1|0> <path> <path>` lines, replacing `path` in one step."""
    _write(path, (f"{int(pair.target)} {pair.enrolment} {pair.test}" for pair in pairs))


def require_present(folder: Path, lists: Mapping[Path, Sequence[tuple[str, ...]]]) -> None:
    """Check that every utterance of some lists is a regular file below the folder, links followed.

    The first component of a path may be a link to anywhere (`wav` on another disk); what lies
    below must stay below its target.

    Args:
        folder: that paths are relative to.
        lists: of each list, the utterances of line 1, line 2 and so on.

    Raises:
        ListError: with the line of the first that is not, and how many are not.
    """
    first: tuple[Path, int, str] | None = None
    problems: dict[str, str] = {}
    contained: dict[Path, bool] = {}
    for path, lines in lists.items():
        for number, utterances in enumerate(lines, 1):
            for utterance in utterances:
                if utterance not in problems:
                    problems[utterance] = _file_problem(folder, utterance, contained)
                if first is None and problems[utterance]:
                    first = path, number, f"{utterance} {problems[utterance]}"
    if first is not None:
        bad = sum(problem != "" for problem in problems.values())
        raise ListError(
            *first[:2],
            f"{first[2]}; {bad} of {len(problems)} listed utterances cannot be used, paths are "
            f"relative to {folder}",
        )


def _file_problem(folder: Path, utterance: str, contained: dict[Path, bool]) -> str:
    """Return the problem with a file, or an empty string; `contained` caches folders."""
    file = folder / utterance
    try:
        mode = file.lstat().st_mode
        if file.parent not in contained:
            contained[file.parent] = _is_contained(folder, utterance, file.parent)
        is_contained = contained[file.parent]
        if stat.S_ISLNK(mode):
            mode = file.stat().st_mode
            is_contained = is_contained and _is_contained(folder, utterance, file)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if not is_contained:
        return "is or goes through a link that leads out of the folder; copy what it leads to"
    return "" if stat.S_ISREG(mode) else "is not a regular file"


def _is_contained(folder: Path, utterance: str, path: Path) -> bool:
    roots = [folder.resolve()]
    parts = PurePosixPath(utterance).parts
    if len(parts) > 1:
        roots.append((folder / parts[0]).resolve())
    return any(path.resolve().is_relative_to(root) for root in roots)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield lines with numbers from 1; blank ones are allowed at the end only."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ListError(path, 0, f"cannot be read: {error.strerror}") from error
    lines = raw.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()
    if not lines:
        raise ListError(path, 1, "the list is empty; it needs one entry a line")
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise ListError(path, number, "not UTF-8 text; save the list as UTF-8") from error
        if not text.strip():
            raise ListError(path, number, "blank line inside the list; remove it")
        yield number, text


def _pair(path: Path, number: int, fields: list[str]) -> Pair:
    if len(fields) != 3:
        raise ListError(path, number, f"{_columns(fields)}; a pair is '<1|0> <path> <path>'")
    label, enrolment, test = fields
    if label not in ("0", "1"):
        raise ListError(
            path, number, f"label {label!a}; it must be 1 (same speaker) or 0 (different speakers)"
        )
    return Pair(
        target=label == "1",
        enrolment=_utterance(path, number, enrolment),
        test=_utterance(path, number, test),
    )


def _utterance(path: Path, number: int, text: str) -> str:
    if problem := utterance_problem(text):
        raise ListError(path, number, problem)
    return str(PurePosixPath(text))


def _columns(fields: list[str]) -> str:
    return f"{len(fields)} column{'s' if len(fields) != 1 else ''}"


def _write(path: Path, lines: Iterable[str]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{line}\n" for line in lines)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
