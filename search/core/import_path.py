"""Keep the folder where the user stands off the import path of the processes that we start.

Python puts the working folder first on the path of `python -m` and `python -c`, and Ray puts that
of a driver first on the path of its workers: a user's `search.py` would run in place of ours.
"""

import os
import site
import sys
from collections.abc import Mapping

from search.core.paths import CODE


def extra_folders() -> list[str]:
    """Return what another interpreter needs on its path to find our packages.

    Nothing where they are installed; the root of a clone, which need not be installed.
    """
    installed = [*site.getsitepackages(), site.getusersitepackages()]
    return [] if str(CODE) in map(os.path.realpath, installed) else [str(CODE)]


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module without the working folder on the path."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment whose Python processes find our packages, and none of the user's.

    `-P` holds for one process; PYTHONSAFEPATH also for those that it starts in turn.
    """
    known = environment.get("PYTHONPATH")
    python_path = os.pathsep.join([*extra_folders(), *([known] if known else [])])
    path = {"PYTHONPATH": python_path} if python_path else {}
    return {**environment, **path, "PYTHONSAFEPATH": "1"}
