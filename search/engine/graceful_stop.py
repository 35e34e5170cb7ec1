"""Graceful stop: ask running trials to checkpoint, and wait up to the grace period.

An attempt that does not answer soon is recorded as interrupted; a checkpoint that comes later, but
within the grace period, is used all the same.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from search.checkpoints.folders import TRIALS
from search.core.errors import UsageError
from spkmodel.worker import stop_flag

GRACE = "SPKSEARCH_GRACE_SECONDS"
"""The environment's: how long a supervisor lets a launch live after its first signal."""

GRACE_SECONDS = 10.0
"""Unless the environment says otherwise: a container runtime kills after as much or more."""

_INTERRUPT_SECONDS = 2.0
"""After so long without a word of an attempt the ledger says that it is cut."""
_CLEAR_SECONDS = 1.0

Attempt = tuple[str, int]
"""A trial's name and the attempt's number."""


def grace_of_environment() -> float:
    """Return the grace period in seconds, from the environment or the default.

    Raises:
        UsageError: the variable is no number of seconds.
    """
    text = os.environ.get(GRACE, "")
    if not text:
        return GRACE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise UsageError(
            f"{GRACE} must be a number of seconds, 0 (leave at once) to 86400, got {text!r}; "
            f"without it, it is {GRACE_SECONDS:g}"
        )
    return seconds


class GracefulStop:
    """Asks attempts to checkpoint and leave, from the moment it is made."""

    def __init__(
        self,
        folder: Path,
        attempts: Iterable[Attempt],
        grace_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread that writes the stop flags: slow storage must not block the driver.

        Args:
            folder: the search's.
            attempts: at work.
            grace_seconds: how long to wait for them.
            clock: seconds, of a clock that nobody sets.
        """
        self.attempts = frozenset(attempts)
        self.unanswered = {*self.attempts}
        """Those that have not answered yet."""
        self._folder = folder
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._began = clock()
        self._asking = threading.Thread(target=self._ask, name="graceful-stop", daemon=True)
        if grace_seconds > 0:
            self._asking.start()

    def is_waiting_for(self, at_work: Iterable[Attempt]) -> bool:
        """Return whether a running attempt has not answered and the grace period is not over."""
        return self._passed < self._grace_seconds and not self.unanswered.isdisjoint(at_work)

    def acknowledge(self, attempt: Attempt) -> None:
        """Record that an attempt has sent its last result."""
        self.unanswered.discard(attempt)

    @property
    def is_interruption_due(self) -> bool:
        """Whether the attempts that have not answered yet count as interrupted."""
        return self._passed >= min(_INTERRUPT_SECONDS, self._grace_seconds)

    def close(self) -> None:
        """Remove the stop flags; attempts that have not seen them are ended in another way."""
        clearing = threading.Thread(target=self._clear, daemon=True)
        clearing.start()
        clearing.join(_CLEAR_SECONDS)

    @property
    def _passed(self) -> float:
        return self._clock() - self._began

    def _ask(self) -> None:
        for trial, attempt in sorted(self.attempts):
            try:
                stop_flag.request_stop(self._folder / TRIALS / trial, attempt)
            except OSError:
                return  # who cannot be told could not write a checkpoint either

    def _clear(self) -> None:
        if self._grace_seconds > 0:
            self._asking.join()
        for trial, attempt in sorted(self.attempts):
            stop_flag.clear_request(self._folder / TRIALS / trial, attempt)
