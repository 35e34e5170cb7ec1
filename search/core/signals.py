"""Set what happens at SIGINT, SIGTERM and SIGHUP.

While segments run, the search saves first (`search.engine.tune_session`). Before the first segment
and after the last there is nothing to save.

A closed terminal (SIGHUP) counts as SIGTERM, unless SIGHUP was ignored from the start, as `nohup`
does it.
"""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from search.core.errors import SignalReceived

_TERMINAL = (0, 1, 2)
"""The file descriptors that may be of the terminal."""


@contextmanager
def handle_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """Call `handler` with the number of a signal while the context lasts; SIGHUP comes as SIGTERM.

    Does nothing outside the main thread, where Python sets no handlers.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP:
            # The kernel and the shell each send one; a second must not count as impatience.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            leave_lost_terminal()
            number = signal.SIGTERM
        handler(number)

    if not _is_main_thread():
        yield
        return
    # All are restored afterwards: a caller, such as a test or a notebook, may have its own.
    before = {number: signal.signal(number, on_signal) for number in _handled_signals()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def ignore_hangups() -> Iterator[None]:
    """Ignore SIGHUP while the context lasts: processes started meanwhile ignore it for ever.

    Without it, a closed terminal would end Ray's processes before trials have saved.
    """
    if not _is_main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def leave_lost_terminal() -> None:
    """Send what is written to a terminal that is gone to nowhere, where it would raise EIO."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in _TERMINAL:
        with contextlib.suppress(OSError):
            found = os.fstat(descriptor)
            is_device = stat.S_ISCHR(found.st_mode) and found.st_rdev != os.fstat(nowhere).st_rdev
            # A terminal that was closed is a device still, and no terminal any more.
            if is_device and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _handled_signals() -> tuple[signal.Signals, ...]:
    ignores_hangups = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    hangup = () if ignores_hangups else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, *hangup)


@contextmanager
def raise_signals() -> Iterator[None]:
    """Raise `SignalReceived` at SIGTERM, SIGHUP or Ctrl-C while the context lasts."""

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
