"""Write a space file again with other ranges: its source with other numbers in it.

Nothing else changes, comments included, so the result can be read, edited and launched as the first
one was. It is offered only if it builds every branch that the loader checks.
"""

import ast
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.core.errors import SpksearchError
from search.ledger.settings import SearchSettings
from search.reports.facts.next_ranges import NewRange
from search.space import loader, trial_walk

MARK = "# By `spksearch report`: ranges around the best trials of"
"""How the file begins."""


@dataclass(frozen=True)
class NarrowedSpace:
    """The source of a space file, and what it narrows; or why there is none."""

    source: str
    parameters: tuple[str, ...]
    why_not: str = ""


def narrow_space(
    settings: SearchSettings, space_file: str, search: str, ranges: Sequence[NewRange]
) -> NarrowedSpace:
    """Return the source of a search's space with new ranges.

    A space that is not as it was launched is not touched: its ranges are not those of the trials.
    If a new range cannot be built, such as a probability above 1, the old one stays.
    """
    changing = {each.parameter: each for each in ranges if each.changes}
    if not changing:
        return NarrowedSpace("", (), "the best trials fill every range: there is nothing to narrow")
    try:
        source = _read_source(settings, space_file)
    except (OSError, SpksearchError, UnicodeDecodeError) as error:
        return NarrowedSpace("", (), f"the space's file cannot be read: {error}")
    if source is None:
        why = f"the file of the space {settings.space} has changed since the search was launched"
        return NarrowedSpace("", (), why)
    return _largest_that_builds(source, search, changing)


def _read_source(settings: SearchSettings, space_file: str) -> str | None:
    """Return the source of the space; None if it is not the one that was launched."""
    path = Path(space_file) if space_file else loader.find_shipped(settings.space)
    raw = path.read_bytes()
    is_same = hashlib.sha256(raw).hexdigest() == settings.space_sha256
    return raw.decode("utf-8") if is_same else None


def _largest_that_builds(
    source: str, search: str, changing: Mapping[str, NewRange]
) -> NarrowedSpace:
    """Return the source with all ranges that can be built together, tried one after the other."""
    head = _heading(search)
    written = head + rewrite_ranges(source, changing)
    if builds(written):
        return NarrowedSpace(written, _changed_names(source, changing))
    kept: dict[str, NewRange] = {}
    for name, each in changing.items():
        attempt = {**kept, name: each}
        if builds(head + rewrite_ranges(source, attempt)):
            kept = attempt
    if not _changed_names(source, kept):
        why = "no range of the space's source can be written anew: they are no plain numbers there"
        return NarrowedSpace("", (), why)
    return NarrowedSpace(head + rewrite_ranges(source, kept), _changed_names(source, kept))


def _heading(search: str) -> str:
    name = "".join(letter for letter in search if letter.isprintable())
    return f"{MARK} {name[:40]}. Copy it before you edit it:\n# the next report writes it again.\n"


def is_ours(path: Path) -> bool:
    """Return whether a file was written by a report, so that another may replace it."""
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def builds(source: str) -> bool:
    """Return whether the loader accepts the source as a space: every branch at both ends."""
    with tempfile.TemporaryDirectory(prefix="spksearch-space-") as folder:
        path = Path(folder) / "narrowed.py"
        path.write_text(source, encoding="utf-8")
        try:
            trial_walk.require_end(str(path))
            loader.branches(loader.load(str(path)))
        except (SpksearchError, ValueError):
            return False
    return True


def rewrite_ranges(source: str, ranges: Mapping[str, NewRange]) -> str:
    """Return the source of a space with other numbers and choices in its `suggest_` calls.

    A range that is no literal there, such as a named constant, stays as it is.
    """
    raw = source.encode("utf-8")
    lines = raw.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    # From the end on, so that what is still to be replaced keeps its place.
    for node, text in sorted(_edits(source, ranges), key=lambda each: -_begin(each[0], starts)):
        begin = _begin(node, starts)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        end = starts[node.end_lineno - 1] + node.end_col_offset
        raw = raw[:begin] + text.encode("utf-8") + raw[end:]
    return raw.decode("utf-8")


def _begin(node: ast.expr, starts: Sequence[int]) -> int:
    return starts[node.lineno - 1] + node.col_offset


def _changed_names(source: str, ranges: Mapping[str, NewRange]) -> tuple[str, ...]:
    asked = {
        name for call, name in _find_calls(source) if name in ranges and _edits_of(call, ranges)
    }
    return tuple(name for name in ranges if name in asked)


def _find_calls(source: str) -> Iterator[tuple[ast.Call, str]]:
    """Yield the `suggest_` calls with the names that they ask for."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ) if called.startswith("suggest_"):
                yield node, name


def _edits(source: str, ranges: Mapping[str, NewRange]) -> Iterator[tuple[ast.expr, str]]:
    for call, name in _find_calls(source):
        if name in ranges:
            yield from _edits_of(call, ranges)


def _edits_of(call: ast.Call, ranges: Mapping[str, NewRange]) -> list[tuple[ast.expr, str]]:
    name = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    wanted = ranges[str(name)]
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if wanted.kind == "categorical":
        node = call.args[1] if len(call.args) > 1 else given.get("choices")
        return _edit_choices(node, wanted)
    low = call.args[1] if len(call.args) > 1 else given.get("low")
    high = call.args[2] if len(call.args) > 2 else given.get("high")
    if low is None or high is None or not (_is_number(low) and _is_number(high)):
        return []
    return [(low, _literal(wanted.new_low, wanted)), (high, _literal(wanted.new_high, wanted))]


def _edit_choices(node: ast.expr | None, wanted: NewRange) -> list[tuple[ast.expr, str]]:
    is_literal = isinstance(node, ast.List | ast.Tuple) and all(
        isinstance(each, ast.Constant) for each in node.elts
    )
    if node is None or not is_literal:
        return []
    return [(node, "[" + ", ".join(map(_quote, wanted.new_choices)) + "]")]


def _quote(choice: Any) -> str:
    text = repr(choice)
    is_plain = isinstance(choice, str) and '"' not in text and "\\" not in text
    return f'"{choice}"' if is_plain else text


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _literal(value: float, wanted: NewRange) -> str:
    return str(int(value)) if wanted.kind == "int" else repr(value)
