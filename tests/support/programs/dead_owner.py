"""Names of temporary files that belong to a process which has ended."""

import subprocess
import sys
from pathlib import Path

_PROGRAM = (
    "import sys; from pathlib import Path; from spkmodel.core.temporary import temporary_beside; "
    "print(temporary_beside(Path(sys.argv[1])))"
)


def abandoned_beside(path: Path) -> Path:
    """Return a temporary name beside `path`, of a process that has ended."""
    answer = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(path)], check=True, capture_output=True, text=True
    )
    return Path(answer.stdout.strip())
