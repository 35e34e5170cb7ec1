"""Find the folders of searches below the home folder, `$SPKSEARCH_HOME` or `./runs`."""

import contextlib
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from search.core.errors import EnvironmentSetupError, NotFound, UsageError
from search.core.redact import redact

CODE = Path(__file__).resolve().parents[2]
"""The folder that holds the packages `search`, `spaces` and `spkmodel`."""

LEDGER = "ledger.jsonl"
"""The name of the ledger in the folder of every search."""

_RESERVED = (
    *("corpora", "corpus", "evaluations", "ray-token"),
    *("mlartifacts", "mlflow-credential", "mlflow-page.html"),
    *(f"mlflow-server.{end}" for end in ("json", "tmp", "lock", "log")),
    *(f"mlflow.db{end}" for end in ("", "-wal", "-shm", "-journal")),
)
"""What may stand in the home folder beside the searches."""

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


def make_home(folder: Path | None = None, say: Callable[[str], None] | None = None) -> None:
    """Make the home folder for its owner alone, if it is not there yet.

    One that exists keeps its mode, which its owner may have chosen for a group.

    Args:
        folder: instead of the one that `SPKSEARCH_HOME` names.
        say: told that it was made, and how a group is let in.

    Raises:
        OSError: if it cannot be made.
    """
    folder = folder or home()
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    if say is not None:
        quoted = shlex.quote(str(folder))
        say(f"made {folder} for you alone; to let your group read it: chmod 750 {quoted}")


def describe_openness(folder: Path) -> str:
    """Return who else can open a folder of ours; empty if nobody can, or it is another user's."""
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    others = [name for name, bits in (("its group", 0o070), ("every user", 0o007)) if mode & bits]
    if status.st_uid != os.geteuid() or not others:
        return ""
    return f"{' and '.join(others)} can open {folder} (mode {mode:04o})"


def private_temporary_folder() -> Path:
    """Return a folder of ours below the temporary one, made if need be, that nobody else can enter.

    Raises:
        OSError: if none can be made.
    """
    folder = Path(tempfile.gettempdir()) / f"spksearch-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    # The name can be guessed: another user may have put a folder, or a link, there before us.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return Path(tempfile.mkdtemp(prefix="spksearch-"))
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


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
    folder = home() / name
    # A search of such a name that is there already stays readable.
    if is_reserved(name) and not (folder / LEDGER).is_file():
        raise UsageError(
            f"a search cannot be called {name!r}: SPKSEARCH_HOME keeps something else under this "
            "name; choose another with --name"
        )
    return folder


def is_reserved(name: str) -> bool:
    """Return whether the home folder keeps, or may keep, something else than a search there."""
    # In lower case, since some file systems know no other difference.
    return name.lower() in _RESERVED


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
