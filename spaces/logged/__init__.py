"""The experiment log as data: 73 entries, each with the config that it tried.

`entries.toml` is the log; `reading` reads it, and any notebook of a user in the same form.
"""

from functools import lru_cache
from pathlib import Path

from spaces.logged.notebook import Entry, Notebook, NotebookError
from spaces.logged.reading import read_notebook

__all__ = ["NAME", "Entry", "Notebook", "NotebookError", "entries", "load_log", "open_notebook"]

NAME = "logged"


@lru_cache(maxsize=1)
def load_log() -> Notebook:
    """Return the log as a notebook."""
    return read_notebook(Path(__file__).with_name("entries.toml"), continuable={})


def entries() -> list[Entry]:
    """Return the log's 73 entries, 01.1 to 128."""
    return list(load_log().entries)


def open_notebook(path: Path) -> Notebook:
    """Return the notebook of a file, which may continue the log.

    Raises:
        NotebookError: naming the file, the entry and what is wrong with it.
    """
    return read_notebook(path, continuable={NAME: load_log})
