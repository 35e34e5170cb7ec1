"""What can go wrong for a user, each with the exit code of the command line.

A message says what was wrong, where, and what to do.
"""

import signal
from typing import ClassVar


class SpksearchError(Exception):
    """A failure that a user is told about in one message."""

    exit_code: ClassVar[int] = 1


class UsageError(SpksearchError):
    """The command, space, config or corpus is wrong."""

    exit_code = 2


class EnvironmentSetupError(SpksearchError):
    """Cluster, tracking server, storage, token, port or lock is in the way."""

    exit_code = 3


class StorageUnavailableError(EnvironmentSetupError):
    """What has to be written down cannot be, and nobody waits for it any longer."""


class NoUsableTrial(SpksearchError):
    """The search ended without a trial worth anything."""

    exit_code = 4


class GateNotMet(SpksearchError):
    """A condition that the user set was not met: a promotion's, or how many trials may fail."""

    exit_code = 5


class NotFound(SpksearchError):
    """No such search, trial or model."""

    exit_code = 6


class NotFinished(SpksearchError):
    """What was asked for needs a search, or a trial, that has ended."""

    exit_code = 7


class SignalReceived(KeyboardInterrupt):
    """SIGINT or SIGTERM has come while there was nothing to save."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Interrupted(SpksearchError):
    """Stopped by a signal with everything saved; 130 for SIGINT, 143 for SIGTERM."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
