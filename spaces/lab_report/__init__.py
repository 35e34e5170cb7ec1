"""The lab report's runs as a notebook; an entry's number is that of its section."""

from functools import lru_cache
from pathlib import Path

from spaces.logged.notebook import Notebook
from spaces.logged.reading import read_notebook


@lru_cache(maxsize=1)
def runs() -> Notebook:
    """Return the five runs: two published models, two trainings of its own, one that is planned."""
    return read_notebook(Path(__file__).with_name("runs.toml"), continuable={})
