"""Read a notebook from its file, and check it.

Every entry is resolved once; an error names the file and the entry.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from spaces.logged import delta as deltas
from spaces.logged.delta import Delta
from spaces.logged.notebook import (
    PROTOCOL,
    Entry,
    Header,
    Mark,
    Notebook,
    NotebookError,
    Protocol,
    dump,
    find_nearest,
)
from spkmodel.config import FrozenModel, TrainConfig
from spkmodel.core import foreign_file


class Line(FrozenModel):
    """An entry as it stands in the file."""

    number: str = Field(pattern=r"[0-9]+(\.[0-9]+)?")
    change: str = Field(min_length=1)
    finding: str = ""
    mark: Mark = ""
    kept: bool
    """Whether the next entries start from it."""
    based_on: str = ""
    """The entry whose config is changed, or `after N`: the base as entry N left it. Empty: the
    default config."""
    warm_start: str = ""
    """The entry whose weights training starts from."""
    evidence: str = ""
    """Where it can be read: text, code, script, at which commit; or SEARCH/TRIAL."""
    assumed: str = ""
    """What is uncertain about it."""
    note: str = ""
    hidden_from: str = ""
    """Where the hidden changes come from: code or script at a commit, or `assumed`."""
    steps: int | None = Field(default=None, ge=1)
    """How long it was trained, where that is known."""
    delta: Delta = Field(default_factory=dict)
    """The changes that the text states."""
    hidden: Delta = Field(default_factory=dict)
    """The changes that the text does not state."""
    left_in_base: Delta = Field(default_factory=dict)
    """Changes of an entry that was not kept which stayed in the base all the same."""

    @field_validator("delta", "hidden", "left_in_base", mode="before")
    @classmethod
    def _flat(cls, table: Any) -> Any:
        return deltas.flatten(table) if isinstance(table, Mapping) else table

    @model_validator(mode="after")
    def _hidden_has_a_source(self) -> "Line":
        if bool(self.hidden) != bool(self.hidden_from):
            raise ValueError(
                "hidden and hidden_from belong together: the changes, and their source"
            )
        if self.kept and self.left_in_base:
            raise ValueError("left_in_base is for entries that were not kept")
        return self


class _File(FrozenModel):
    notebook: Header
    entry: tuple[Line, ...] = ()


def read_notebook(path: Path, continuable: Mapping[str, Callable[[], Notebook]]) -> Notebook:
    """Return the notebook of a file.

    Args:
        path: of the file.
        continuable: the notebooks that it may continue, by name.

    Raises:
        NotebookError: the file or an entry is wrong; the message says which and how.
    """
    file = _parse(path)
    continued = _load_continued(path, file.notebook, continuable)
    before = continued.entries if continued is not None else ()
    known = {entry.number for entry in before}
    lines: dict[str, Line] = {}
    for line in file.entry:
        if line.number in lines or line.number in known:
            raise NotebookError(f"{path}: entry {line.number} stands there twice")
        lines[line.number] = line
    resolver = _Resolver(path, file.notebook.name, lines, continued)
    entries = (*before, *(resolver.entry(number) for number in lines))
    return Notebook(file.notebook, path, entries, resolver.bases)


def _load_continued(
    path: Path, header: Header, continuable: Mapping[str, Callable[[], Notebook]]
) -> Notebook | None:
    if header.name in continuable:
        raise NotebookError(f"{path}: notebook.name {header.name!r} is taken; choose another")
    if not header.continues:
        return None
    if header.continues not in continuable:
        known = ", ".join(continuable)
        raise NotebookError(
            f"{path}: notebook.continues names {header.continues!r}; it may be {known}, or empty"
        )
    return continuable[header.continues]()


def _parse(path: Path) -> _File:
    try:
        text = foreign_file.read_text(path)
        with foreign_file.blame_file(path, "TOML"):
            table = tomllib.loads(text)
    except foreign_file.ForeignFileError as error:
        raise NotebookError(str(error)) from error
    try:
        return _File.model_validate(table)
    except ValidationError as error:
        raise NotebookError(f"{path}: {_first_problem(error, table)}") from error


def _first_problem(error: ValidationError, table: Mapping[str, Any]) -> str:
    problem = error.errors(include_url=False)[0]
    place = [str(step) for step in problem["loc"]]
    if len(place) >= 2 and place[0] == "entry":
        number = table["entry"][int(place[1])].get("number", f"at place {int(place[1]) + 1}")
        place = [f"entry {number}", *place[2:]]
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(place[-1], Line.model_fields, n=1)
        message = "no such key" + (f"; did you mean {near[0]}?" if near else "")
    return f"{': '.join(place)}: {message}"


class _Resolver:
    """Builds each entry's config from its basis, and finds cycles and missing entries."""

    def __init__(
        self, path: Path, name: str, lines: Mapping[str, Line], continued: Notebook | None
    ) -> None:
        self._path = path
        self._name = name
        self._lines = lines
        self._entries = {e.number: e for e in continued.entries} if continued else {}
        self._attempts = {number: dump(entry) for number, entry in self._entries.items()}
        self.bases: dict[str, dict[str, Any]] = dict(continued.bases) if continued else {}

    def entry(self, number: str, below: Sequence[str] = ()) -> Entry:
        if number in self._entries:
            return self._entries[number]
        if number in below:
            cycle = " > ".join([*below[below.index(number) :], number])
            raise NotebookError(f"{self._path}: entries are based on each other: {cycle}")
        line = self._lines[number]
        before, basis, from_base = self._basis(line, (*below, number))
        after = self._changed(line, before)
        config, protocol = self._validated(line, after)
        source = self._entries[basis] if basis is not None else None
        entry = _entry(line, config, protocol, self._name, source, from_base)
        self._entries[number] = entry
        self._attempts[number] = dump(entry)
        base = self._attempts[number] if line.kept else before
        self.bases[number] = self._set(line, base, line.left_in_base)
        self._check_warm_start(line)
        return entry

    def _basis(self, line: Line, below: Sequence[str]) -> tuple[dict[str, Any], str | None, bool]:
        """Return the dump that a line starts from, whose it is, and if it is the base after it."""
        if not line.based_on:
            default = TrainConfig().model_dump(mode="json")
            return default | {PROTOCOL: Protocol().model_dump()}, None, False
        from_base = line.based_on.startswith("after ")
        number = line.based_on.removeprefix("after ")
        self._check_there(line, number, "based_on")
        self.entry(number, below)
        table = self.bases if from_base else self._attempts
        return table[number], number, from_base

    def _changed(self, line: Line, before: dict[str, Any]) -> dict[str, Any]:
        double = line.delta.keys() & line.hidden.keys()
        if double:
            raise self._error(line, f"{min(double)} is both stated and hidden")
        return self._set(line, before, line.delta | line.hidden)

    def _set(self, line: Line, dump: dict[str, Any], changes: Delta) -> dict[str, Any]:
        try:
            return deltas.apply_delta(dump, changes)
        except ValueError as error:
            raise self._error(line, str(error)) from error

    def _validated(self, line: Line, after: dict[str, Any]) -> tuple[TrainConfig, Protocol]:
        protocol = after[PROTOCOL]
        config = {key: value for key, value in after.items() if key != PROTOCOL}
        try:
            return TrainConfig.model_validate(config), Protocol.model_validate(protocol)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(str(step) for step in problem["loc"])
            text = str(problem["msg"]).removeprefix("Value error, ")
            got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
            raise self._error(line, f"{place}: {text}{got}" if place else text) from error

    def _check_warm_start(self, line: Line) -> None:
        if line.warm_start:
            self._check_there(line, line.warm_start, "warm_start")
            self.entry(line.warm_start, (line.number,))

    def _check_there(self, line: Line, number: str, field: str) -> None:
        if number not in self._lines and number not in self._entries:
            others = [each for each in (*self._entries, *self._lines) if each != line.number]
            near = find_nearest(number, others)
            hint = f"; did you mean {near}?" if near else ""
            raise self._error(line, f"{field} names entry {number!r}, which is not there{hint}")

    def _error(self, line: Line, what: str) -> NotebookError:
        return NotebookError(f"{self._path}: entry {line.number}: {what}")


def _entry(
    line: Line,
    config: TrainConfig,
    protocol: Protocol,
    notebook: str,
    basis: Entry | None,
    from_base: bool,
) -> Entry:
    stem = basis.stem if basis is not None and from_base and not basis.kept else None
    based_on = basis.number if basis is not None else None
    return Entry(
        number=line.number,
        change=line.change,
        finding=line.finding,
        mark=line.mark,
        kept=line.kept,
        based_on=based_on,
        from_base=from_base,
        stem=stem or based_on,
        warm_start=line.warm_start or None,
        evidence=line.evidence,
        assumed=line.assumed,
        note=line.note,
        hidden_from=line.hidden_from,
        steps=line.steps,
        delta=line.delta,
        hidden=line.hidden,
        config=config,
        protocol=protocol,
        notebook=notebook,
    )
