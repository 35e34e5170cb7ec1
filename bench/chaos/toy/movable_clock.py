"""Replace a running driver's wall clock by one that can be moved, as `date --set` would.

The monotonic one stays. In the driver's Python only: `time.time`, and `datetime.now` of the modules
that use it. Ray's own processes keep the true clock, as they would on another machine.
"""

import datetime
import os
import sys
import time
from pathlib import Path
from typing import Any

CLOCK = "SPKSEARCH_TOY_CLOCK"
"""A file with the seconds that the clock is off by; no such file: the clock is right."""

_true_time = time.time
_True = datetime.datetime


def _off() -> float:
    try:
        return float(Path(os.environ[CLOCK]).read_text() or "0")
    except (KeyError, FileNotFoundError):
        return 0.0


class _Moved(_True):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        """Return the moved clock's time."""
        return _True.now(tz) + datetime.timedelta(seconds=_off())


def install() -> None:
    """Let this process read the moved clock from now on; do nothing unless one is named."""
    if CLOCK not in os.environ:
        return
    from search.core import lock  # noqa: F401
    from search.engine import (
        controller,  # noqa: F401
        tune_runner,  # noqa: F401
    )
    from search.launch import launch  # noqa: F401
    from search.ledger import (
        ledger,  # noqa: F401
        state,  # noqa: F401
    )
    from search.reporting import snapshot  # noqa: F401
    from search.tracking import sync  # noqa: F401

    time.time = lambda: _true_time() + _off()
    for name, module in list(sys.modules.items()):
        if name.startswith("search.") and getattr(module, "datetime", None) is _True:
            module.datetime = _Moved  # type: ignore[attr-defined]
