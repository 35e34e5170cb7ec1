"""The lab report's runs as data, in the form of a notebook; an entry's number is its section's."""

from functools import lru_cache
from pathlib import Path

from spaces.logged.notebook import Notebook
from spaces.logged.reading import read_notebook


@lru_cache(maxsize=1)
def runs() -> Notebook:
    """The five: two published models, two trainings of its own, and the one that it only plans."""
    return read_notebook(Path(__file__).with_name("runs.toml"), shelf={})
