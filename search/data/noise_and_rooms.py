"""Find the recordings of ambiences and rooms that conditions are made with."""

import os
from pathlib import Path

from search.core.errors import UsageError


def find_recordings(asked: Path | None, kind: str, corpus: Path | str) -> Path | None:
    """Return the folder of ambiences (`kind` "noise") or of room responses ("rooms"), if any.

    It is `asked`, else what $SPKSEARCH_NOISE or $SPKSEARCH_ROOMS names, else the folder of that
    name in the corpus. None means that the built-in ones are used.

    Raises:
        UsageError: if a folder that was named does not exist.
    """
    variable = f"SPKSEARCH_{kind.upper()}"
    from_environment = os.environ.get(variable)
    named = asked or (Path(from_environment) if from_environment else None)
    if named is not None:
        if not named.is_dir():
            source = f"--{kind}" if asked else variable
            raise UsageError(f"{source}: no folder {named}")
        # Recorded in the ledger, where a relative path would depend on the folder of the launch.
        return named.absolute()
    if isinstance(corpus, str):
        return None  # a URI has neither
    inside = corpus / kind
    return inside.absolute() if inside.is_dir() else None
