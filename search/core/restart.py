"""Run this process's command again in its own place: pid, terminal and children stay its own.

For what is broken in this process beyond repair, such as Ray's client after the death of its head,
which blocks for a minute and then ends the process. `exec` replaces all of it from any thread, also
while another one is blocked. What follows is a launch like any other, after a driver like any that
was killed.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

_VARIABLE = "SPKSEARCH_RUN_AGAIN"


@dataclass(frozen=True, slots=True)
class Handoff:
    """What a process tells itself when it runs its command again."""

    number: int = 0
    """How often it did so since the search last got on; 0: this is no such run."""
    message: str = ""
    """With it the command is not carried out, but ends with this message."""
    signal: int = 0
    """The signal by which it ends, with a message; 0: the environment is in the way."""
    children: tuple[int, ...] = ()
    """Children that have ended, or are about to, and that nobody knows any more."""

    @classmethod
    def from_json(cls, text: str) -> "Handoff":
        """Return what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "children": tuple(fields["children"])})

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class _Program:
    """How this process was started."""

    command: Sequence[str] = ()
    """Empty: it may not be run again, as in a test or a notebook."""
    environment: Mapping[str, str] | None = None
    handoff: Handoff = Handoff()


_program = _Program()


def allow() -> None:
    """Allow this process to be run again as it was started; for programs, as they begin."""
    handed_on = os.environ.pop(_VARIABLE, "")
    _program.command = [sys.executable, *sys.orig_argv[1:]]
    _program.environment = dict(os.environ)
    _program.handoff = Handoff.from_json(handed_on) if handed_on else Handoff()


def is_allowed() -> bool:
    """Return whether `run_again` may be called."""
    return bool(_program.command)


def received() -> Handoff:
    """Return what this process was told when it was run again; an empty one otherwise."""
    return _program.handoff


def reap_children() -> None:
    """Let go of children from before, as far as they have ended."""
    for pid in _program.handoff.children:
        with contextlib.suppress(OSError):
            os.waitpid(pid, os.WNOHANG)


def run_again(handoff: Handoff) -> NoReturn:
    """Replace this process by a new run of its command; callable from any thread."""
    assert _program.command, "restart.allow() was not called"
    environment = {**(_program.environment or {}), _VARIABLE: handoff.to_json()}
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    _close_files_on_exec()
    os.execve(_program.command[0], list(_program.command), environment)


def _close_files_on_exec() -> None:
    """Have every file but the standard ones closed by `exec`; Ray's C++ leaves its own open."""
    there = Path("/dev/fd")
    for number in [int(each.name) for each in there.iterdir()] if there.is_dir() else ():
        if number > 2:
            with contextlib.suppress(OSError):  # the listing's own is closed by now
                os.set_inheritable(number, False)
