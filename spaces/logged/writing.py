"""Create a notebook and append entries to it, in the form that `reading` reads."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spaces.logged import NAME, open_notebook
from spaces.logged import delta as deltas
from spaces.logged.notebook import Entry, Notebook, NotebookError
from spkmodel.config import TrainConfig

_HEAD = """\
# A notebook of configs, one change at a time. An entry is the config of the one that it is based
# on, with its `delta`: paths of a TrainConfig and their new values; a table with a `kind` replaces
# the whole part, {{}} stands for nothing. `spksearch notebook add` appends; edit it as you like.

[notebook]
name = {name}
title = {title}
continues = {continues}
"""


def create_notebook(path: Path, title: str, continues_log: bool) -> Notebook:
    """Create an empty notebook, and return it.

    Raises:
        NotebookError: the file exists, or its name is no name of a notebook.
    """
    if path.exists():
        raise NotebookError(f"{path} is there already; choose another file")
    name = path.stem.lower().replace(" ", "-")
    text = _HEAD.format(
        name=_format_value(name),
        title=_format_value(title),
        continues=_format_value(NAME if continues_log else ""),
    )
    return _replace_file(path, text)


def append_entry(notebook: Notebook, fields: Mapping[str, Any]) -> Entry:
    """Append one entry to a notebook's file, if it is valid, and return it.

    Args:
        notebook: as its file is now.
        fields: those of `notebook.Line`, with `delta` flat.

    Raises:
        NotebookError: the entry is not valid; the message says why.
    """
    text = notebook.path.read_text(encoding="utf-8").rstrip("\n")
    grown = _replace_file(notebook.path, f"{text}\n\n{format_entry(fields)}")
    return grown.entry(fields["number"])


def next_number(notebook: Notebook) -> str:
    """Return the number after the highest one."""
    numbers = [int(entry.number.partition(".")[0]) for entry in notebook.entries]
    return f"{max(numbers, default=0) + 1:02d}"


def find_config_delta(basis: Entry | None, config: TrainConfig) -> deltas.Delta:
    """Return the delta from an entry's config to another config, without the seed."""
    before = (basis.config if basis is not None else TrainConfig()).model_dump(mode="json")
    after = config.model_dump(mode="json")
    return {k: v for k, v in deltas.find_delta(before, after).items() if k != "seed"}


def format_entry(fields: Mapping[str, Any]) -> str:
    """Return an entry as the TOML of a notebook's file."""
    lines = ["[[entry]]"]
    tables = {name: value for name, value in fields.items() if isinstance(value, Mapping)}
    lines += [f"{name} = {_format_value(fields[name])}" for name in fields if name not in tables]
    for name, table in tables.items():
        if table:
            lines += [
                f"[entry.{name}]",
                *(f"{path} = {_format_value(v)}" for path, v in table.items()),
            ]
    return "\n".join(lines) + "\n"


def _format_value(value: Any) -> str:
    match value:
        case None:
            return "{}"
        case bool():
            return "true" if value else "false"
        case str():
            # TOML's basic strings are JSON's, but for this one character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case Mapping():
            inner = ", ".join(f"{key} = {_format_value(each)}" for key, each in value.items())
            return f"{{ {inner} }}"
        case list() | tuple():
            return "[" + ", ".join(_format_value(each) for each in value) + "]"
        case int() | float():
            return repr(value)
        case _:
            raise TypeError(f"no value of a config: {value!r}")


def _replace_file(path: Path, text: str) -> Notebook:
    """Replace the file's text if the new one is a notebook; otherwise leave it unchanged."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        open_notebook(beside)
        beside.replace(path)
    except NotebookError as error:
        raise NotebookError(str(error).replace(str(beside), str(path))) from error
    finally:
        beside.unlink(missing_ok=True)
    return open_notebook(path)
