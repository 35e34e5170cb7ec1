"""Check that the utterances of lists are files of the corpus's folder."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.formats import other_lists
from spkmodel.data.lists import ListError, Report, raise_problem

NumberedPaths = Sequence[tuple[int, tuple[str, ...]]]
"""Of each line of a list, its number and its utterances."""


def find_missing(
    folder: Path, lists: Mapping[Path, NumberedPaths]
) -> Iterator[tuple[ListError, str]]:
    """Yield the utterances of some lists that are no regular files below the folder.

    Links are followed. The first component of a path may be a link to anywhere (`wav` on another
    disk); what lies below must stay below its target.

    Args:
        folder: that paths are relative to.
        lists: of each list, its lines' numbers and utterances.

    Yields:
        The problem, with the first line that has the utterance, and the utterance.
    """
    problems: dict[str, str] = {}
    contained: dict[Path, bool] = {}
    for path, lines in lists.items():
        for number, utterances in lines:
            columns = (2,) if len(utterances) == 1 else (2, 3)
            for utterance in utterances:
                if utterance in problems:
                    continue
                problems[utterance] = problem = _file_problem(folder, utterance, contained)
                if not problem:
                    continue
                found = None
                if not os.path.lexists(folder / utterance):
                    found = other_lists.recognise_missing(folder, path, utterance, columns)
                if found is not None:
                    yield (
                        ListError(path, number, found.problem, found.kind, found.remedy),
                        utterance,
                    )
                else:
                    text = f"{quote_path(utterance)} {problem}"
                    yield ListError(path, number, text, kind="missing"), utterance


def require_present(
    folder: Path,
    lists: Mapping[Path, NumberedPaths],
    report: Report = raise_problem,
) -> set[str]:
    """Report the utterances that `find_missing` yields, and return them.

    Raises:
        ListError: with the line of the first that is not there, and how many are not.
    """
    missing = list(find_missing(folder, lists))
    if missing and report is raise_problem:
        first = missing[0][0]
        total = len({u for lines in lists.values() for _, some in lines for u in some})
        count = (
            f"{len(missing)} of {total} listed utterances cannot be used, paths are relative to "
            f"{quote_path(folder)}"
        )
        text = first.problem.removeprefix(f"{quote_path(first.path)}:{first.line}: ")
        raise ListError(first.path, first.line, f"{text}; {count}", first.kind, first.remedy)
    for problem, _ in missing:
        report(problem)
    return {utterance for _, utterance in missing}


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
