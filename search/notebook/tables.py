"""Format a notebook: tables, branches and pages for people, JSON documents for programs."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from search.reporting.documents import Document
from search.reporting.trial_tables import format_config
from search.space.model_size import WeightCount
from spaces.logged import delta as deltas
from spaces.logged.notebook import Entry, Notebook, dump_before
from spkmodel.core.shell import quote_path


def entry_table(entries: Sequence[Entry]) -> Table:
    """Return a table of entries, an entry a row."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("entry", "based on", "kept"):
        table.add_column(heading, no_wrap=True)
    for heading in ("change", "finding", "mark"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        table.add_row(
            entry.number,
            format_basis(entry),
            "kept" if entry.kept else "",
            entry.change,
            entry.finding,
            entry.mark,
        )
    return table


def summary_line(entries: Sequence[Entry]) -> str:
    """Return a line that counts the entries, the kept ones and those with a finding."""
    kept = sum(entry.kept for entry in entries)
    found = sum(bool(entry.finding) for entry in entries)
    return f"{len(entries)} entries: {kept} kept, {found} with a finding written down"


def format_basis(entry: Entry) -> str:
    """Return what an entry is based on, and whose weights it starts from."""
    basis = entry.based_on or ""
    basis = f"after {basis}" if entry.from_base else basis
    return f"{basis}, weights of {entry.warm_start}" if entry.warm_start else basis


# --- branches --------------------------------------------------------------------------------


def tree_lines(notebook: Notebook) -> list[str]:
    """Return the entries as a tree: kept ones below each other, dropped ones as branches."""
    lines: list[str] = []
    for root in notebook.children(None):
        step: Entry | None = root
        while step is not None:
            lines.append(_label(step))
            children = notebook.children(step.number)
            following = _choose_main_child(notebook, children)
            branches = [child for child in children if child is not following]
            lines += _branch_lines(notebook, branches, " ")
            step = following
    return lines


def _choose_main_child(notebook: Notebook, children: Sequence[Entry]) -> Entry | None:
    """Return the kept child with the most descendants; None if no child was kept."""
    kept = [child for child in children if child.kept]
    return max(kept, key=lambda child: _count_descendants(notebook, child), default=None)


def _count_descendants(notebook: Notebook, entry: Entry) -> int:
    return 1 + sum(_count_descendants(notebook, child) for child in notebook.children(entry.number))


def _branch_lines(notebook: Notebook, entries: Sequence[Entry], indent: str) -> list[str]:
    lines = []
    for entry in entries:
        is_last = entry is entries[-1]
        lines.append(f"{indent}{'└─' if is_last else '├─'} {_label(entry)}")
        deeper = f"{indent}{'   ' if is_last else '│  '} "
        lines += _branch_lines(notebook, notebook.children(entry.number), deeper)
    return lines


def _label(entry: Entry) -> str:
    kept = "" if entry.kept else "dropped"
    weights = f"weights of {entry.warm_start}" if entry.warm_start else ""
    notes = "; ".join(filter(None, [kept, entry.mark, weights]))
    return f"{entry.number}  {entry.change}" + (f"  [{notes}]" if notes else "")


# --- one entry -------------------------------------------------------------------------------


def entry_page(notebook: Notebook, entry: Entry, weights: WeightCount) -> list[Table | str]:
    """Return a page of one entry: its change, size, finding and config."""
    parts: list[Table | str] = [_head(entry, weights), ""]
    parts += _change_lines(notebook, entry)
    parts += ["", "config"]
    parts += [f"  {line}" for line in format_config(entry.config.model_dump(mode="json"))]
    parts += ["", *_next(notebook, entry)]
    return parts


def _head(entry: Entry, weights: WeightCount) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "entry": f"{entry.number}, {'kept' if entry.kept else 'not kept'} {entry.mark}".rstrip(),
        "change": entry.change,
        "finding": entry.finding or "none written down",
        "based on": format_basis(entry) or "nothing: the first",
        "read from": entry.evidence,
        "assumed": entry.assumed,
        "note": entry.note,
        "trained for": f"{entry.steps:,} steps" if entry.steps else "",
        "speakers": f"{entry.protocol.speakers:,}" if entry.protocol.speakers else "",
        "weights": f"{weights.encoder:,} in the encoder, {weights.head:,} in the loss, "
        f"{weights.total:,} together",
        "signature": entry.config.signature,
    }
    for label, text in rows.items():
        if text:
            table.add_row(label, text)
    return table


def _change_lines(notebook: Notebook, entry: Entry) -> list[Table | str]:
    if not entry.changed:
        return [f"the same as {entry.based_on}"]
    before = dump_before(notebook, entry)
    parts: list[Table | str] = []
    source = format_basis(entry) or "the default config"
    for title, delta in (
        (f"changed from {source}", entry.delta),
        (f"changed without a word in the text ({entry.hidden_from})", entry.hidden),
    ):
        if not delta:
            continue
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for path, value in delta.items():
            table.add_row(
                f"  {path}",
                format_value(value),
                f"was {format_value(deltas.value_at(before, path))}",
            )
        parts += [title, table]
    return parts


def format_value(value: Any) -> str:
    """Return a value of a delta on one line."""
    match value:
        case None:
            return "nothing"
        case {"kind": str(kind)}:
            inner = {key: each for key, each in value.items() if key != "kind"}
            text = " ".join(f"{key}={format_value(each)}" for key, each in inner.items())
            return f"{kind}({text})"
        case dict():
            return " ".join(f"{key}={format_value(each)}" for key, each in value.items())
        case list() | tuple():
            return "[" + ", ".join(format_value(each) for each in value) + "]"
        case _:
            return str(value)


def _next(notebook: Notebook, entry: Entry) -> list[str]:
    own = "" if notebook.name == "logged" else f" --file {quote_path(notebook.path)}"
    pair = f"{entry.based_on},{entry.number}" if entry.based_on else entry.number
    return [
        f"next    spksearch notebook --tree{own}",
        f"        spksearch replay {pair} --corpus DIR --scale small{own}",
    ]


# --- for programs ----------------------------------------------------------------------------


def entry_document(entry: Entry) -> Document:
    """Return the document of an entry in `notebook --json`."""
    return {
        "number": entry.number,
        "change": entry.change,
        "finding": entry.finding,
        "mark": entry.mark,
        "kept": entry.kept,
        "based_on": entry.based_on,
        "from_base": entry.from_base,
        "warm_start": entry.warm_start,
        "evidence": entry.evidence,
        "assumed": entry.assumed,
        "note": entry.note,
        "hidden_from": entry.hidden_from,
        "steps": entry.steps,
        "delta": entry.delta,
        "hidden": entry.hidden,
        "protocol": entry.protocol.model_dump(),
        "signature": entry.config.signature,
    }


def full_entry_document(entry: Entry, weights: WeightCount) -> Document:
    """Return the document of `notebook ENTRY --json`."""
    sizes = {"encoder": weights.encoder, "head": weights.head, "total": weights.total}
    return entry_document(entry) | {
        "config": entry.config.model_dump(mode="json"),
        "weights": sizes | {"speakers": weights.speakers},
    }
