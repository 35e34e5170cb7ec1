"""Record how a background launch ended; the launch writes it itself, beside the search.

What became of a search is in its ledger. A launch may end before there is one: while it checks or
packs its corpus, when nobody watches it any more. Its exit code and its last words are kept here.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from search.core.errors import (
    EnvironmentSetupError,
    GateNotMet,
    Interrupted,
    NotFinished,
    NotFound,
    NoUsableTrial,
    SignalReceived,
    SpksearchError,
    UsageError,
)
from search.core.paths import search_folder
from spkmodel.core.temporary import temporary_beside

_VARIABLE = "SPKSEARCH_LAUNCH"
"""Tells a process that it is such a launch: the search's name and the launch's token."""

_FILE = "launch-end.json"
_MOST_CHARACTERS = 4000
_KINDS = (UsageError, EnvironmentSetupError, NoUsableTrial, GateNotMet, NotFound, NotFinished)
_SIGNALLED = 128


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How a launch ended."""

    token: str
    """Which one's: `search.launch.launch_record.BackgroundLaunch.token`."""
    code: int
    """Its exit code."""
    words: str
    """The last thing it said, if something was wrong."""

    def problem(self, what: str) -> SpksearchError:
        """Return the error to raise, with the same exit code.

        Args:
            what: has ended.
        """
        text = f"{what} ended with exit code {self.code}: {self.words or 'it said nothing'}"
        if self.code > _SIGNALLED:
            return Interrupted(text, self.code - _SIGNALLED)
        kind = next((each for each in _KINDS if each.exit_code == self.code), SpksearchError)
        return kind(text)


def from_process(token: str, returned: int, words: str) -> ExitRecord:
    """Return how a process ended that could not record it itself.

    Args:
        token: the launch's.
        returned: as `subprocess` tells: negative where a signal ended it.
        words: the last of its log.
    """
    if returned >= 0:
        return ExitRecord(token, returned, words)
    return ExitRecord(token, _SIGNALLED - returned, words or f"killed by signal {-returned}")


def environment(name: str, token: str) -> dict[str, str]:
    """Return the environment that tells a process that it is a background launch."""
    return {_VARIABLE: f"{name} {token}"}


def taken() -> tuple[str, str] | None:
    """Return name and token if this process is a background launch; its children are none."""
    name, _, token = os.environ.pop(_VARIABLE, "").partition(" ")
    return (name, token) if token else None


def write(name: str, token: str, code: int, words: str) -> None:
    """Write how this launch ends, if the storage allows it."""
    end = ExitRecord(token, code, words[-_MOST_CHARACTERS:])
    with contextlib.suppress(OSError):
        folder = search_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        beside = temporary_beside(folder / _FILE)
        beside.write_text(json.dumps(asdict(end)), encoding="utf-8")
        beside.replace(folder / _FILE)


def at_signal(name: str, token: str, number: int) -> NoReturn:
    """Exit at a signal that arrives before there is anything to save."""
    write(name, token, _SIGNALLED + number, str(SignalReceived(number)))
    os._exit(_SIGNALLED + number)


def read(folder: Path, token: str) -> ExitRecord | None:
    """Return how a launch ended; None if it has not, or could not record it."""
    try:
        end = ExitRecord(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return end if token and end.token == token else None
