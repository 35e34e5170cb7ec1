"""The experiment log as data: 73 entries, each with the config that it tried.

`entries.toml` is the log; `reading` reads it, and any notebook of one's own in the same form.
"""

from functools import lru_cache
from pathlib import Path

from spaces.logged.notebook import Entry, Notebook, NotebookError
from spaces.logged.reading import read

__all__ = ["NAME", "Entry", "Notebook", "NotebookError", "entries", "notebook", "open_notebook"]

NAME = "logged"


@lru_cache(maxsize=1)
def notebook() -> Notebook:
    """The log."""
    return read(Path(__file__).with_name("entries.toml"), shelf={})


def entries() -> list[Entry]:
    """The log's 73 entries, 01.1 to 128."""
    return list(notebook().entries)


def open_notebook(path: Path) -> Notebook:
    """A notebook of one's own, which may continue the log.

    Raises:
        NotebookError: naming the file, the entry and what is wrong with it.
    """
    return read(path, shelf={NAME: notebook})
