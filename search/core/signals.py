"""Set what happens at SIGINT and SIGTERM.

While segments run, the search saves first (`search.engine.tune_session`). Before the first segment
and after the last there is nothing to save.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from search.core.errors import SignalReceived

_BOTH = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def handle_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """Call `handler` with the number of a signal while the context lasts.

    Does nothing outside the main thread, where Python sets no handlers.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        handler(number)

    if not _is_main_thread():
        yield
        return
    # Both are restored afterwards: a caller, such as a test or a notebook, may have its own.
    before = {number: signal.signal(number, on_signal) for number in _BOTH}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def raise_signals() -> Iterator[None]:
    """Raise `SignalReceived` at SIGTERM or Ctrl-C while the context lasts."""

    def raise_it(number: int) -> None:
        raise SignalReceived(number)

    with handle_signals(raise_it):
        yield


@contextmanager
def restore_handlers() -> Iterator[None]:
    """Restore the handler of SIGTERM when the context ends, whatever was set meanwhile.

    Raises:
        SignalReceived: for a SIGTERM that comes meanwhile.
    """
    if not _is_main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as ended:
        # The handler that ray.init() installs exits with the number of the signal as exit code.
        if ended.code != signal.SIGTERM:
            raise
        raise SignalReceived(signal.SIGTERM) from ended
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
