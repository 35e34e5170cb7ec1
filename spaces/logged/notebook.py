"""A notebook: numbered changes of configs, one based on another, read from a file and checked.

An entry's config is its basis' config, with the changes that its text states and those it hides.
Nothing is resolved twice, and what is wrong with a file is said with the entry it concerns.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from spaces.logged import delta as deltas
from spaces.logged.delta import Delta
from spkmodel.config import Part, TrainConfig

Mark = Literal["", "(unchanged)", "(furthur)", "(unchanged/furthur)", "(require reinvestigate)"]
"""As the log prints them. Without a mark a change was tried and kept."""

PROTOCOL = "protocol"


class NotebookError(ValueError):
    """A notebook that cannot be read, or does not have what was asked for."""


class Protocol(Part):
    """What decides a run beside its config."""

    speakers: int = Field(default=0, ge=0)
    """Training speakers, the classes of a classifying loss; 0: those of the corpus."""
    validation_utterances: int = Field(default=0, ge=0)
    """On which accuracy and loss were judged; 0: not by that, but by a corpus' dev pairs."""


class Header(Part):
    """What a notebook says of itself."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9_-]*")
    title: str = ""
    continues: str = ""
    """A notebook whose entries this one may be based on; `logged` is the log's."""


class Line(Part):
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
    """What is not certain."""
    note: str = ""
    hidden_from: str = ""
    """Where the hidden changes come from: code or script at a commit, or `assumed`."""
    steps: int | None = Field(default=None, ge=1)
    """How long it was trained, where that is known."""
    delta: Delta = Field(default_factory=dict)
    """What the text says."""
    hidden: Delta = Field(default_factory=dict)
    """What it does not tell."""
    left_in_base: Delta = Field(default_factory=dict)
    """Of an entry that was not kept: what of it stayed in the base all the same."""

    @field_validator("delta", "hidden", "left_in_base", mode="before")
    @classmethod
    def _flat(cls, table: Any) -> Any:
        return deltas.flat(table) if isinstance(table, Mapping) else table

    @model_validator(mode="after")
    def _hidden_has_a_source(self) -> "Line":
        if bool(self.hidden) != bool(self.hidden_from):
            raise ValueError(
                "hidden and hidden_from belong together: the changes, and their source"
            )
        if self.kept and self.left_in_base:
            raise ValueError("left_in_base is for entries that were not kept")
        return self


class _File(Part):
    notebook: Header
    entry: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One entry, with the config that it tried."""

    number: str
    change: str
    finding: str
    mark: Mark
    kept: bool
    based_on: str | None
    """Number of the entry that it starts from; None for a first one."""
    from_base: bool
    """Whether it starts from the base as that entry left it, and not from its config."""
    stem: str | None
    """Number of the entry of the kept path that it grows from: what it is based on, but where that
    is the base after an entry that was not kept, what that one grew from."""
    warm_start: str | None
    evidence: str
    assumed: str
    note: str
    hidden_from: str
    steps: int | None
    delta: Delta
    hidden: Delta
    config: TrainConfig
    protocol: Protocol
    notebook: str
    """Name of the notebook that it stands in."""

    @property
    def changed(self) -> Delta:
        """All that differs from its basis, stated or hidden."""
        return self.delta | self.hidden

    @property
    def is_infrastructure(self) -> bool:
        """Whether its config is that of its basis: only the measuring changed, or nothing."""
        return self.based_on is not None and all(
            path.startswith(f"{PROTOCOL}.") for path in self.changed
        )


@dataclass(frozen=True)
class Notebook:
    """All entries, in the order in which they stand; those of a continued notebook come first."""

    header: Header
    path: Path
    entries: tuple[Entry, ...]
    bases: Mapping[str, dict[str, Any]]
    """By number: the base as that entry left it, as a dump with its protocol."""

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def own(self) -> list[Entry]:
        """Without those of a continued notebook."""
        return [entry for entry in self.entries if entry.notebook == self.name]

    def entry(self, number: str) -> Entry:
        """One entry; leading zeros may be left out.

        Raises:
            NotebookError: naming the nearest.
        """
        for entry in self.entries:
            if entry.number == number or _bare(entry.number) == _bare(number):
                return entry
        numbers = [entry.number for entry in self.entries]
        near = _nearest(number, numbers)
        hint = f"; did you mean {near}?" if near else ""
        span = f"{numbers[0]} to {numbers[-1]}" if numbers else "none yet"
        raise NotebookError(f"notebook {self.name!r} has no entry {number!r}{hint} (there: {span})")

    def select(self, ranges: str) -> list[Entry]:
        """The entries of `101-106,116`, each once, in the order of the notebook.

        Raises:
            NotebookError: for an unknown entry, a range backwards, or what is no range.
        """
        places = {entry.number: place for place, entry in enumerate(self.entries)}
        chosen: set[int] = set()
        for text in ranges.split(","):
            first, dash, last = (part.strip() for part in text.partition("-"))
            if not first or (dash and not last):
                raise NotebookError(
                    f"{ranges!r} is no list of entries; write such as 101-106,116,122"
                )
            start = places[self.entry(first).number]
            end = places[self.entry(last).number] if dash else start
            if end < start:
                raise NotebookError(f"range {text.strip()!r} goes backwards; write {last}-{first}")
            chosen.update(range(start, end + 1))
        return [self.entries[place] for place in sorted(chosen)]

    def children(self, number: str | None) -> list[Entry]:
        """The entries that grow from one; from none, for None."""
        return [entry for entry in self.entries if entry.stem == number]

    def path_to(self, number: str) -> list[Entry]:
        """From a first entry to this one, along what each grew from."""
        path: list[Entry] = []
        step: str | None = number
        while step is not None:
            path.append(self.entry(step))
            step = path[-1].stem
        return path[::-1]


def _bare(number: str) -> str:
    return number.lstrip("0") or number


def _nearest(number: str, numbers: Iterable[str]) -> str | None:
    """The number next to what somebody wrote; None if that is no number, or there are none."""
    try:
        wanted = float(number)
    except ValueError:
        return None
    return min(numbers, key=lambda each: abs(float(each) - wanted), default=None)


# --- reading ---------------------------------------------------------------------------------


def read(path: Path, shelf: Mapping[str, Callable[[], Notebook]]) -> Notebook:
    """A notebook from its file.

    Args:
        path: of the file.
        shelf: the notebooks that it may continue, by name.

    Raises:
        NotebookError: naming the file, the entry and what is wrong with it.
    """
    file = _parsed(path)
    continued = _continued(path, file.notebook, shelf)
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


def _continued(
    path: Path, header: Header, shelf: Mapping[str, Callable[[], Notebook]]
) -> Notebook | None:
    if header.name in shelf:
        raise NotebookError(f"{path}: notebook.name {header.name!r} is taken; choose another")
    if not header.continues:
        return None
    if header.continues not in shelf:
        known = ", ".join(shelf)
        raise NotebookError(
            f"{path}: notebook.continues names {header.continues!r}; it may be {known}, or empty"
        )
    return shelf[header.continues]()


def _parsed(path: Path) -> _File:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise NotebookError(f"{path}: not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise NotebookError(f"{path}: not UTF-8 text: {error.reason}") from error
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
    """Configs of entries, each from its basis; a cycle or a missing basis is found on the way."""

    def __init__(
        self, path: Path, name: str, lines: Mapping[str, Line], continued: Notebook | None
    ) -> None:
        self._path = path
        self._name = name
        self._lines = lines
        self._entries = {e.number: e for e in continued.entries} if continued else {}
        self._attempts = {number: _dump(entry) for number, entry in self._entries.items()}
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
        self._attempts[number] = _dump(entry)
        base = self._attempts[number] if line.kept else before
        self.bases[number] = self._set(line, base, line.left_in_base)
        self._check_warm_start(line)
        return entry

    def _basis(self, line: Line, below: Sequence[str]) -> tuple[dict[str, Any], str | None, bool]:
        """The dump that a line starts from, whose it is, and whether it is the base after it."""
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
            return deltas.applied(dump, changes)
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
            near = _nearest(number, others)
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


def _dump(entry: Entry) -> dict[str, Any]:
    protocol = entry.protocol.model_dump()
    return entry.config.model_dump(mode="json") | {PROTOCOL: protocol}


def idle(notebook: Notebook) -> Iterator[tuple[Entry, str]]:
    """Entries and those paths of theirs that change nothing; a notebook should have none."""
    for entry in notebook.entries:
        before = dump_before(notebook, entry)
        after = _dump(entry)
        for path in entry.changed:
            if deltas.at(before, path) == deltas.at(after, path):
                yield entry, path


def dump_before(notebook: Notebook, entry: Entry) -> dict[str, Any]:
    """What an entry started from, protocol included."""
    if entry.based_on is None:
        return TrainConfig().model_dump(mode="json") | {PROTOCOL: Protocol().model_dump()}
    if entry.from_base:
        return notebook.bases[entry.based_on]
    return _dump(notebook.entry(entry.based_on))
