"""A signal to end that comes while nothing is training: before the first segment, after the last.

While segments run `search.engine` heeds signals itself, and saves first.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from search.errors import Told

_BOTH = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def raised() -> Iterator[None]:
    """While the context lasts SIGTERM is raised where it comes, as Ctrl-C is: both as `Told`."""

    def tell(number: int, frame: FrameType | None) -> None:
        del frame
        raise Told(number)

    if not _may_be_set():
        yield
        return
    before = {number: signal.signal(number, tell) for number in _BOTH}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def kept() -> Iterator[None]:
    """What is done at SIGTERM stays what it was, though Ray sets something of its own meanwhile.

    Ray's way is to exit with the number of the signal, which no one would take for one.
    """
    if not _may_be_set():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as ended:
        if ended.code != signal.SIGTERM:
            raise
        raise Told(signal.SIGTERM) from ended
    finally:
        signal.signal(signal.SIGTERM, before)


def _may_be_set() -> bool:
    return threading.current_thread() is threading.main_thread()
