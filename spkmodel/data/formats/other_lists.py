"""Recognise lists that other programs wrote, and name the command that makes them ours.

Pure functions of a line's columns or of a path; the commands are for a POSIX shell and are run by
the tests.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from spkmodel.core.shell import quote_path
from spkmodel.data.formats.existing import is_file
from spkmodel.data.formats.suffixes import OTHER, READ, WITHOUT_HEADER, is_audio

_TARGET_WORDS = ("target", "tgt", "true", "same")
_NON_TARGET_WORDS = ("nontarget", "non-target", "imp", "impostor", "imposter", "false", "different")
_LABEL_WORDS = (*_TARGET_WORDS, *_NON_TARGET_WORDS)
_MOST_WORDS = 50
_QUOTED = re.compile(r"""\S+\s+(?P<quote>["']).+(?P=quote)\s*""")
_TABBED = re.compile(r"[^\t]+\t[^\t]+")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a line or a path is, and how it becomes one of ours."""

    kind: str
    problem: str
    remedy: str


def recognise_pair_line(list_path: Path, columns: Sequence[str]) -> Recognised | None:
    """Return what a line of a list of pairs looks like that has no label in front."""
    if len(columns) == 3 and is_label(columns[2]) and not is_label(columns[0]):
        return Recognised(
            "kaldi_order",
            f"label {columns[0]!a}, and {columns[2]!a} at the end: this is Kaldi's order; the "
            "label comes first, 1 or 0",
            rewrite(list_path, f"{_label_of('$3')}, $1, $2"),
        )
    if len(columns) == 3 and columns[0].lower() in _LABEL_WORDS:
        return Recognised(
            "label_words",
            f"label {columns[0]!a}; it must be 1 (same speaker) or 0 (different speakers)",
            rewrite(list_path, f"{_label_of('$1')}, $2, $3"),
        )
    return _recognise_commas(list_path, columns)


def recognise_train_line(list_path: Path, line: str) -> Recognised | None:
    """Return what a line of a training list looks like that is not a speaker and a path."""
    columns = line.split()
    if len(columns) > 2 and (_QUOTED.fullmatch(line) or _TABBED.fullmatch(line)):
        table = quote_path(f"{list_path}.tsv")
        corpus = quote_path(f"{list_path.parent.resolve()}-corpus")
        header, rest = r'BEGIN {print "speaker\tpath"}', r'sub(/^[^ \t]+[ \t]+/, "")'
        program = rf'{header} {{s = $1; {rest}; print s "\t" $0}}'
        return Recognised(
            "tabs_or_quotes",
            f"the path {quote_path(line.split(maxsplit=1)[1])} has spaces, which a list cannot "
            "hold; import it as a table",
            f"awk '{program}' {quote_path(list_path)} > {table} && "
            f"spksearch corpus import {table} --from csv --to {corpus}",
        )
    if len(columns) == 2 and _is_like_a_file(columns[0]) and not _is_like_a_file(columns[1]):
        return Recognised(
            "swapped_columns",
            f"the columns look swapped: {quote_path(columns[0])} comes before "
            f"{quote_path(columns[1])}; a training line is '<speaker> <path>'",
            rewrite(list_path, "$2, $1"),
        )
    return _recognise_commas(list_path, columns)


def recognise_missing(
    folder: Path, list_path: Path, utterance: str, path_columns: Sequence[int]
) -> Recognised | None:
    """Return how a path of a list that is not there could be meant.

    Args:
        folder: that paths are relative to.
        list_path: of the list.
        utterance: its path in the list.
        path_columns: the list's columns that hold paths, from 1.
    """
    shown = quote_path(utterance)
    if "\\" in utterance:
        return Recognised(
            "backslashes",
            f"{shown} has back-slashes, as paths have on Windows; write / between folders",
            substitute([list_path], r"\\", "/"),
        )
    if is_file(folder / "wav" / utterance):
        assignments = "; ".join(f'${column} = "wav/" ${column}' for column in path_columns)
        return Recognised(
            "without_wav",
            f"{shown} is not there, but wav/{utterance} is; paths are relative to the list's "
            "folder",
            rewrite(list_path, "$0", before=assignments),
        )
    found = _find_other_suffix(folder / utterance)
    if found is None:
        return None
    old = PurePosixPath(utterance).suffix
    problem = f"{shown} is not there, but {quote_path(utterance.removesuffix(old) + found)} is"
    if found not in READ:
        top = folder / PurePosixPath(utterance).parts[0]
        return Recognised("other_format", problem, conversion_command(top, found, old))
    changes = "; ".join(f'sub(/\\{old}$/, "{found}", ${column})' for column in path_columns)
    return Recognised("other_suffix", problem, rewrite(list_path, "$0", before=changes))


def absolute_remedy(folder: Path, paths_of: Mapping[Path, Sequence[str]]) -> str:
    """Return the command that makes the absolute paths of some lists relative to their folder.

    Args:
        folder: that paths are to be relative to.
        paths_of: the absolute paths of each list, as far as they can be told apart.
    """
    paths = [path for some in paths_of.values() for path in some]
    if not paths:
        return ""
    if not all(path.startswith("/") for path in paths):
        return "write the paths relative to the list's folder, with / between folders"
    lists = [path for path, some in paths_of.items() if some]
    common = Path(os.path.commonpath([str(PurePosixPath(path).parent) for path in paths]))
    for base in (folder.absolute(), folder.resolve()):
        if common.is_relative_to(base):
            return substitute(lists, _escape_pattern(f"{base}/"), "")
    if common == Path("/"):
        return "put the files, or links to their folders, below the list's folder"
    # The files lie elsewhere: a link in the corpus's folder may lead to them.
    name = next(each for each in ("wav", "audio", "linked") if not os.path.lexists(folder / each))
    link = f"ln -s {quote_path(common)} {quote_path(folder / name)}"
    return f"{link} && {substitute(lists, _escape_pattern(f'{common}/'), f'{name}/')}"


def split_spaced(folder: Path, line: str, paths: int) -> list[str]:
    """Return the paths of a line with spaces in them, told by the files that exist; else none.

    Args:
        folder: that paths are relative to.
        line: of a list, its first column no path.
        paths: how many follow.
    """
    words = line.split(" ")[1:]
    if paths == 1:
        candidates = [[" ".join(words)]]
    else:
        candidates = [[" ".join(words[:i]), " ".join(words[i:])] for i in range(1, len(words))]
    for some in candidates[:_MOST_WORDS]:
        if all(is_file(folder / each) for each in some):
            return some
    return []


def space_remedy(folder: Path, lists: Sequence[Path], path: str) -> str:
    """Return the command that renames a file with spaces in its path, and its lines in lists."""
    new = path.replace(" ", "_")
    move = f"mv {quote_path(folder / path)} {quote_path(folder / new)}"
    if " " in str(PurePosixPath(path).parent):
        move = f"mkdir -p {quote_path((folder / new).parent)} && {move}"
    return f"{move} && {substitute(lists, _escape_pattern(path), new)}"


def is_absolute(path: str) -> bool:
    """Return whether a path is absolute, here, on Windows, or from somebody's home folder."""
    return path.startswith(("/", "~")) or _DRIVE.match(path) is not None


def is_label(word: str) -> bool:
    """Return whether a word is the label of a pair, in any program's spelling."""
    return word in ("0", "1") or word.lower() in _LABEL_WORDS


def conversion_command(top: Path, old: str, new: str = ".flac") -> str:
    """Return the command that writes every file of a format below a folder in one that is read."""
    # Nothing in the file says at which rate it is to be read.
    form = "-f s16le -ar RATE_IN_HZ " if old.lower() in WITHOUT_HEADER else ""
    convert = f'ffmpeg -nostdin -loglevel error {form}-i "$1" -ac 1 -ar 16000 "${{1%.*}}{new}"'
    return (
        f"find {quote_path(top)}/ -name {quote_path(f'*{old}')} -exec sh -c '{convert}' _ {{}} ';'"
    )


def is_target(label: str) -> bool:
    """Return whether a label says that both sides of a pair are of one speaker."""
    return label == "1" or label.lower() in _TARGET_WORDS


def rewrite(list_path: Path, columns: str, before: str = "") -> str:
    """Return the command that writes other columns of a list in its place."""
    old, new = quote_path(list_path), quote_path(f"{list_path}.new")
    program = f"{before}; " if before else ""
    return f"awk '{{{program}print {columns}}}' {old} > {new} && mv {new} {old}"


def without_utterances(list_path: Path, utterances: Sequence[str]) -> str:
    """Return the command that takes all lines with some utterances off a list."""
    old, new = quote_path(list_path), quote_path(f"{list_path}.new")
    keep = " && ".join(f'$2 != "{each}" && $3 != "{each}"' for each in utterances)
    return f"awk '{keep}' {old} > {new} && mv {new} {old}"


def substitute(lists: Sequence[Path], pattern: str, text: str) -> str:
    """Return the command that replaces a pattern everywhere in lists; the old ones stay beside.

    Args:
        lists: their paths.
        pattern: a basic regular expression; a character `|` in it must be escaped.
        text: what comes in its place.
    """
    paths = " ".join(quote_path(path) for path in lists)
    return f"sed -i.bak {quote_path(f's|{pattern}|{text}|g')} {paths}"


def _recognise_commas(list_path: Path, columns: Sequence[str]) -> Recognised | None:
    parts = columns[0].split(",") if len(columns) == 1 else []
    if len(parts) < 2:
        return None
    return Recognised(
        "commas",
        f"{columns[0]!a} is {len(parts)} columns with commas between them, as in CSV; columns of a "
        "list are separated by spaces",
        substitute([list_path], ",", " "),
    )


def _label_of(column: str) -> str:
    words = "|".join(("1", *_TARGET_WORDS))
    return f"(tolower({column}) ~ /^({words})$/) ? 1 : 0"


def _is_like_a_file(word: str) -> bool:
    return is_audio(word) or "/" in word


def _find_other_suffix(file: Path) -> str | None:
    """Return the suffix of an audio file of the same name, if there is one."""
    for suffix in (*READ, *sorted(OTHER)):
        if suffix != file.suffix and is_file(file.with_suffix(suffix)):
            return suffix
    return None


def _escape_pattern(text: str) -> str:
    return re.sub(r"([.*\[\]\\^$|&])", r"\\\1", text)
