"""Read facts about speakers and utterances, for evaluation only; training never reads them.

`speakers.tsv` and `utterances.tsv` in the corpus's folder are tables of columns parted by tabs.
The first line names them; the first column is `speaker`, or `path` as the lists have it. An empty
cell is unknown. A column whose cells are all numbers is numeric; any other is of words.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spkmodel.core import foreign_file
from spkmodel.core.shell import quote_path
from spkmodel.data.formats.utterance_path import utterance_problem
from spkmodel.data.lists import ListError

SPEAKERS, UTTERANCES = "speakers.tsv", "utterances.tsv"
DURATION = "duration"
"""Known of every utterance, in seconds; no table may have a column of that name."""
Kind = Literal["speaker", "utterance"]


@dataclass(frozen=True)
class Column:
    """One fact of speakers or utterances; who is not in it is unknown."""

    name: str
    kind: Kind
    words: Mapping[str, str]
    """By speaker or by path, as written."""
    lines: Mapping[str, int]
    path: Path

    def numbers(self) -> dict[str, float] | None:
        """Return the cells as finite numbers; None for a column of words.

        Raises:
            ListError: if some cells are numbers and others are not.
        """
        read = {key: _number(word) for key, word in self.words.items()}
        numbers = {key: number for key, number in read.items() if number is not None}
        if not numbers:
            return None
        if len(numbers) < len(read):
            odd = next(key for key, number in read.items() if number is None)
            raise ListError(
                self.path,
                self.lines[odd],
                f"column {self.name}: {self.words[odd]!r} is not a finite number, as "
                f"{len(numbers)} of {len(read)} cells are; leave unknown ones empty, or write "
                "words in all",
            )
        return numbers


def duration(utterances: Mapping[str, float]) -> Column:
    """Return the column that every corpus has: seconds by path."""
    words = {path: repr(seconds) for path, seconds in utterances.items()}
    return Column(DURATION, "utterance", words, dict.fromkeys(words, 0), Path(UTTERANCES))


def read_columns(folder: Path) -> dict[str, Column]:
    """Read the columns, by name, of the tables that exist.

    Raises:
        ListError: for the first line that is not a row, or a name that is there twice.
    """
    columns: dict[str, Column] = {}
    tables: tuple[tuple[str, Kind], ...] = ((SPEAKERS, "speaker"), (UTTERANCES, "utterance"))
    for name, kind in tables:
        if (path := folder / name).exists():
            for column in _table(path, kind):
                if column.name in columns:
                    raise ListError(
                        path, 1, f"column {column.name} is in {SPEAKERS} too; rename one of them"
                    )
                columns[column.name] = column
    return columns


def _table(path: Path, kind: Kind) -> list[Column]:
    rows = _rows(path)
    key = "speaker" if kind == "speaker" else "path"
    _, names = next(rows, (1, []))
    _check_header(path, names, key)
    seen: dict[str, int] = {}
    words: list[dict[str, str]] = [{} for _ in names[1:]]
    for line, cells in rows:
        if len(cells) != len(names):
            raise ListError(
                path, line, f"{len(cells)} cells, but the first line names {len(names)} columns"
            )
        who = cells[0]
        if problem := _key_problem(kind, who):
            raise ListError(path, line, problem)
        if who in seen:
            raise ListError(
                path, line, f"{quote_path(who)} is already on line {seen[who]}; one line each"
            )
        seen[who] = line
        for column, cell in zip(words, cells[1:], strict=True):
            if cell:
                column[who] = cell
    return [Column(name, kind, of, seen, path) for name, of in zip(names[1:], words, strict=True)]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number and stripped cells; blank lines are allowed at the end only."""
    try:
        raw = foreign_file.read_bytes(path, foreign_file.MOST_LIST_BYTES)
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except foreign_file.ForeignFileError as error:
        raise ListError(path, 0, error.problem) from error
    except OSError as error:
        raise ListError(path, 0, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ListError(path, 0, "not UTF-8 text; save the table as UTF-8") from error
    lines = text.replace("\r\n", "\n").rstrip("\n ").split("\n")
    for number, line in enumerate(lines if any(lines) else [], 1):
        if not line.strip():
            raise ListError(path, number, "blank line inside the table; remove it")
        yield number, [cell.strip() for cell in line.split("\t")]


def _check_header(path: Path, names: list[str], key: str) -> None:
    if names[:1] != [key] or len(names) < 2:
        raise ListError(
            path,
            1,
            f"the first line is {' '.join(names)!r}; it names the columns, parted by tabs, the "
            f"first of them {key!r}",
        )
    for name in names:
        if not name.isidentifier():
            raise ListError(path, 1, f"column {name!r}: a name is letters, digits and underscores")
        if name == DURATION or names.count(name) > 1:
            why = "is known already" if name == DURATION else "is there twice"
            raise ListError(path, 1, f"column {name} {why}; give it another name")


def _key_problem(kind: Kind, who: str) -> str:
    if kind == "utterance":
        return utterance_problem(who)
    return "" if who and not any(c.isspace() for c in who) else f"speaker {who!r} is not a name"


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
