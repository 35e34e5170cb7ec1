"""Read a CSV file (or one with tabs or semicolons) that has a header and an utterance a row."""

import csv
import io
from pathlib import Path

from search.core.errors import UsageError
from search.data.imports.foreign_corpus import (
    ForeignCorpus,
    ForeignUtterance,
    find_file,
    require_usable,
)
from spkmodel.core.shell import quote_path
from spkmodel.data.lists import SPLITS, ListError, numbered_lines

_PATH = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("wav", "audio", "utterance", "audio_path", "wav_path"),
)
_SPEAKER = ("speaker", "speaker_id", "spk", "spk_id", "spkid", "client_id", "speakerid", "label")
_SPLIT = ("split", "subset", "set", "partition")
_SPLIT_NAMES = {"train": "train", "training": "train", "tr": "train"}
_SPLIT_NAMES |= dict.fromkeys(("dev", "valid", "validation", "val", "devel"), "dev")
_SPLIT_NAMES |= dict.fromkeys(("test", "testing", "eval", "evaluation"), "test")


def read_table(place: Path) -> ForeignCorpus:
    """Return the utterances of a table, or of the only one in a folder.

    Raises:
        UsageError: if there is no such table, or a column is missing.
        ListError: for a wrong row.
    """
    path = _find_table(place)
    lines = list(numbered_lines(path))
    header = lines[0][1]
    separator = max("\t;,", key=header.count)
    columns = [name.strip().lower() for name in next(csv.reader([header], delimiter=separator))]
    path_at = _find_column(path, columns, _PATH, "the path of an utterance")
    speaker_at = _find_column(path, columns, _SPEAKER, "its speaker")
    split_at = next((columns.index(name) for name in _SPLIT if name in columns), None)
    rows: list[tuple[str, str, str]] = []
    for number, line in lines[1:]:
        row = [cell.strip() for cell in next(csv.reader(io.StringIO(line), delimiter=separator))]
        if len(row) != len(columns):
            raise ListError(path, number, f"{len(row)} columns; the header has {len(columns)}")
        split = _read_split(path, number, row[split_at]) if split_at is not None else ""
        rows.append((row[path_at], row[speaker_at], split))
    found = {name: _find_in(path.parent, name) for name, _, _ in rows}
    require_usable(path, found)
    return ForeignCorpus(
        [
            ForeignUtterance(name, speaker, file, split)
            for name, speaker, split in rows
            if (file := found[name]) is not None
        ]
    )


def find_tables(folder: Path) -> list[Path]:
    """Return the tables in a folder."""
    return sorted(path for suffix in ("csv", "tsv") for path in folder.glob(f"*.{suffix}"))


def _find_table(place: Path) -> Path:
    if not place.is_dir():
        return place
    found = find_tables(place)
    if len(found) != 1:
        names = ", ".join(quote_path(path) for path in found) or "none"
        raise UsageError(
            f"{quote_path(place)} must have one .csv or .tsv file, has {names}; name the file"
        )
    return found[0]


def _find_column(path: Path, columns: list[str], names: tuple[str, ...], what: str) -> int:
    found = [columns.index(name) for name in names if name in columns]
    if not found:
        raise UsageError(
            f"{quote_path(path)}: no column for {what}; the header must name one of "
            f"{', '.join(names)}, it has {', '.join(columns)}"
        )
    return found[0]


def _read_split(path: Path, number: int, text: str) -> str:
    split = _SPLIT_NAMES.get(text.lower())
    if split is None:
        raise ListError(path, number, f"split {text!a}; it must be {', '.join(SPLITS)}")
    return split


def _find_in(folder: Path, name: str) -> Path | None:
    # Common Voice has its audio in clips/, beside the table.
    for base in (folder, folder / "clips", folder / "wav", folder / "audio"):
        if (file := find_file(base / name)) is not None:
            return file
    return None
