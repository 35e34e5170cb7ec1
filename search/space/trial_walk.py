"""Walk a user's space in a process of its own first: it may never end, or end the process.

A space file is code that somebody wrote, and describing it runs it. One of the project's own is not
walked before.
"""

import os
import subprocess
import sys
from pathlib import Path

from search.core.errors import UsageError
from search.core.paths import CODE
from spkmodel.core.shell import quote_path

WALK_SECONDS = 120.0
"""A space of 20,000 combinations takes a quarter of it."""

_WALKED = b"walked"
_PROGRAM = """
import os, sys
from search.space import loader
try:
    loader.branches(loader.load(sys.argv[1]))
finally:
    os.write(int(sys.argv[2]), sys.argv[3].encode())
"""


def require_end(name_or_path: str, seconds: float = WALK_SECONDS) -> None:
    """Require that a space given as a file can be walked in a limited time.

    What else is wrong with it, loading it tells; nor is a name that leads to no file refused here.

    Raises:
        UsageError: if it takes longer than `seconds`, or ends the process that runs it.
    """
    path = Path(name_or_path)
    if not name_or_path.endswith(".py") or not path.is_file():
        return
    reading, writing = os.pipe()
    words = [sys.executable, "-P", "-c", _PROGRAM, str(path), str(writing), _WALKED.decode()]
    paths = os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))
    try:
        ended = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            pass_fds=[writing],
            timeout=seconds,
            check=False,
        )
        os.close(writing)
        writing = -1
        said = os.read(reading, len(_WALKED))
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"{quote_path(path)}: its combinations of choices were not walked in {seconds:g} s; "
            "space() asks and returns at once: look for a loop without an end, for work at import, "
            "or split the space"
        ) from error
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    if said != _WALKED:
        raise UsageError(
            f"{quote_path(path)} ended the process that ran it (exit code {ended.returncode}); "
            "space() only asks and returns a TrainConfig: take out os._exit and what else ends it"
        )
