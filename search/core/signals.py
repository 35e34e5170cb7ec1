"""Signals to end: SIGINT and SIGTERM, and what is done when one comes.

While segments run the search's loop saves first (`search.engine.tune_session`). Before the first
segment and after the last there is nothing to save.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from search.core.errors import SignalReceived

_BOTH = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def handling(heed: Callable[[int], None]) -> Iterator[None]:
    """While the context lasts, have `heed` told the number of a signal; in the main thread only."""

    def tell(number: int, frame: FrameType | None) -> None:
        del frame
        heed(number)

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
def raised() -> Iterator[None]:
    """Raise `SignalReceived` where SIGTERM or Ctrl-C comes, while the context lasts."""

    def tell(number: int) -> None:
        raise SignalReceived(number)

    with handling(tell):
        yield


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
        raise SignalReceived(signal.SIGTERM) from ended
    finally:
        signal.signal(signal.SIGTERM, before)


def _may_be_set() -> bool:
    return threading.current_thread() is threading.main_thread()
