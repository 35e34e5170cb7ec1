"""Find the folders of searches below the home folder, `$SPKSEARCH_HOME` or `./runs`."""

import os
import re
from pathlib import Path

from search.core.errors import EnvironmentSetupError, NotFound, UsageError
from search.core.redact import redact

CODE = Path(__file__).resolve().parents[2]
"""The folder that holds the packages `search`, `spaces` and `spkmodel`."""

LEDGER = "ledger.jsonl"
"""The name of the ledger in the folder of every search."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.IGNORECASE)


def home() -> Path:
    """Return the absolute folder of all searches, corpora and the tracking store.

    It is not created here.

    Raises:
        EnvironmentSetupError: if a URI is named.
    """
    named = os.environ.get("SPKSEARCH_HOME") or "runs"
    # A relative path of that name would silently be created below the current folder.
    if "://" in named:
        raise EnvironmentSetupError(
            f"SPKSEARCH_HOME is a folder, got {redact(named)}: a ledger is appended to and locked, "
            "which buckets do not offer; mount NFS, EFS, Filestore or the like (a corpus may be at "
            "a URI: corpus pack --to)"
        )
    return Path(named).absolute()


def search_folder(name: str) -> Path:
    """Return the folder of a search, which need not exist.

    Raises:
        UsageError: if the name could leave the home folder or confuse a shell.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a search's name is 1 to 64 letters, digits, '.', '_' or '-', starting with a letter "
            f"or digit; got {name!r}"
        )
    return home() / name


def ledger_path(name: str) -> Path:
    """Return the path of a search's ledger, which need not exist."""
    return search_folder(name) / LEDGER


def existing_ledger(name: str) -> Path:
    """Return the path of the ledger of a search that exists.

    Raises:
        NotFound: naming the searches there are.
    """
    path = ledger_path(name)
    if path.is_file():
        return path
    there = list_searches()
    known = ", ".join(there) if there else "none yet"
    raise NotFound(f"no search {name!r} in {home()} (there: {known}); `spksearch list` shows them")


def list_searches() -> list[str]:
    """Return the names of all searches, in alphabetical order."""
    return sorted(path.parent.name for path in home().glob(f"*/{LEDGER}"))
