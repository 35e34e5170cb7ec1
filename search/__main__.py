"""`spksearch` and `python -m search`."""

import os
import sys


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    from search.cli.app import run
    from search.core import restart

    restart.allow()
    sys.exit(run(sys.argv[1:]))


def _drop_working_folder() -> None:
    """Take the working folder, which `python -m` puts first, off the import path.

    It stays where it holds our own packages: a clone that is not installed runs from its root.
    """
    # No pathlib: from here on a module of the user's could be imported in place of Python's own.
    root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != root:
        del sys.path[0]


if __name__ == "__main__":
    _drop_working_folder()
    main()
