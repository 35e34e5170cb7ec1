"""Define the errors that are shown to a user, each with the exit code of the command line.

A message says what was wrong, where, and what to do.
"""

import signal
from typing import ClassVar


class SpksearchError(Exception):
    """A failure that is shown to the user as one message."""

    exit_code: ClassVar[int] = 1


class UsageError(SpksearchError):
    """The command, space, config or corpus is wrong."""

    exit_code = 2


class EnvironmentSetupError(SpksearchError):
    """The cluster, tracking server, storage, a token, a port or a lock prevents the work."""

    exit_code = 3


class StorageUnavailableError(EnvironmentSetupError):
    """The storage cannot be written to, and the time to wait for it is over."""


class ClusterLostError(EnvironmentSetupError):
    """The Ray cluster of a running search is gone, or does not do what it is asked."""


class NoUsableTrial(SpksearchError):
    """The search ended without a trial that has a result."""

    exit_code = 4


class GateNotMet(SpksearchError):
    """A condition that the user set was not met: a promotion's, or how many trials may fail."""

    exit_code = 5


class NotFound(SpksearchError):
    """There is no such search, trial or model."""

    exit_code = 6


class NotFinished(SpksearchError):
    """The request needs a search, or a trial, that has ended."""

    exit_code = 7


class SignalReceived(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived while there was nothing to save."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Interrupted(SpksearchError):
    """The work was stopped by a signal, with everything saved.

    The command line exits with 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
