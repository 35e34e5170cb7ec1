"""Notebooks: numbered changes of configs, one based on another.

An entry's config is the config that it is based on, with its stated and its hidden changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from spaces.logged import delta as deltas
from spaces.logged.delta import Delta
from spkmodel.config import FrozenModel, TrainConfig

Mark = Literal["", "(unchanged)", "(furthur)", "(unchanged/furthur)", "(require reinvestigate)"]
"""As the log prints them. Without a mark a change was tried and kept."""

PROTOCOL = "protocol"


class NotebookError(ValueError):
    """A notebook that cannot be read, or does not have what was asked for."""


class Protocol(FrozenModel):
    """What influences a run beside its config."""

    speakers: int = Field(default=0, ge=0)
    """Training speakers, the classes of a classifying loss; 0: those of the corpus."""
    validation_utterances: int = Field(default=0, ge=0)
    """Utterances on which accuracy and loss were measured; 0: the dev pairs of a corpus instead."""


class Header(FrozenModel):
    """The head of a notebook's file."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9_-]*")
    title: str = ""
    continues: str = ""
    """A notebook whose entries this one may be based on; `logged` is the log's."""


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
        """Return all changes from its basis, stated or hidden."""
        return self.delta | self.hidden

    @property
    def is_infrastructure(self) -> bool:
        """Return whether its config is that of its basis: only the protocol changed, or nothing."""
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
        """Return the entries without those of a continued notebook."""
        return [entry for entry in self.entries if entry.notebook == self.name]

    def entry(self, number: str) -> Entry:
        """Return one entry; leading zeros may be left out.

        Raises:
            NotebookError: there is no such entry; the message names the nearest.
        """
        for entry in self.entries:
            if entry.number == number or _normalise_number(entry.number) == _normalise_number(
                number
            ):
                return entry
        numbers = [entry.number for entry in self.entries]
        near = find_nearest(number, numbers)
        hint = f"; did you mean {near}?" if near else ""
        span = f"{numbers[0]} to {numbers[-1]}" if numbers else "none yet"
        raise NotebookError(f"notebook {self.name!r} has no entry {number!r}{hint} (there: {span})")

    def select(self, ranges: str) -> list[Entry]:
        """Return the entries of ranges such as `101-106,116`, each once, in notebook order.

        Raises:
            NotebookError: an entry is unknown, a range goes backwards, or the text is no range.
        """
        indices = {entry.number: index for index, entry in enumerate(self.entries)}
        chosen: set[int] = set()
        for text in ranges.split(","):
            first, dash, last = (part.strip() for part in text.partition("-"))
            if not first or (dash and not last):
                raise NotebookError(
                    f"{ranges!r} is no list of entries; write such as 101-106,116,122"
                )
            start = indices[self.entry(first).number]
            end = indices[self.entry(last).number] if dash else start
            if end < start:
                raise NotebookError(f"range {text.strip()!r} goes backwards; write {last}-{first}")
            chosen.update(range(start, end + 1))
        return [self.entries[index] for index in sorted(chosen)]

    def children(self, number: str | None) -> list[Entry]:
        """Return the entries that grow from an entry; for None, those that grow from none."""
        return [entry for entry in self.entries if entry.stem == number]

    def path_to(self, number: str) -> list[Entry]:
        """Return the entries from a first one to this one, each grown from the one before."""
        path: list[Entry] = []
        step: str | None = number
        while step is not None:
            path.append(self.entry(step))
            step = path[-1].stem
        return path[::-1]


def _normalise_number(number: str) -> str:
    return number.lstrip("0") or number


def find_nearest(number: str, numbers: Iterable[str]) -> str | None:
    """Return the number nearest to the text; None if it is no number, or there are none."""
    try:
        wanted = float(number)
    except ValueError:
        return None
    return min(numbers, key=lambda each: abs(float(each) - wanted), default=None)


def dump(entry: Entry) -> dict[str, Any]:
    """Return config and protocol of an entry as JSON values."""
    protocol = entry.protocol.model_dump()
    return entry.config.model_dump(mode="json") | {PROTOCOL: protocol}


def find_idle_changes(notebook: Notebook) -> Iterator[tuple[Entry, str]]:
    """Yield entries with the paths of theirs that change nothing; a notebook should have none."""
    for entry in notebook.entries:
        before = dump_before(notebook, entry)
        after = dump(entry)
        for path in entry.changed:
            if deltas.value_at(before, path) == deltas.value_at(after, path):
                yield entry, path


def dump_before(notebook: Notebook, entry: Entry) -> dict[str, Any]:
    """Return what an entry started from, protocol included."""
    if entry.based_on is None:
        return TrainConfig().model_dump(mode="json") | {PROTOCOL: Protocol().model_dump()}
    if entry.from_base:
        return notebook.bases[entry.based_on]
    return dump(notebook.entry(entry.based_on))
