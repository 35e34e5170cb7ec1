"""Let drivers on several hosts take turns where the file system may not carry locks.

A turn is a numbered file that only one of many processes can create (`O_EXCL`), and that its owner
removes when it leaves in order. Whoever wants to take over watches the owner's heartbeat for the
length of a lease, by a clock of its own that nobody sets, and then tries to create the next turn.
So two hosts need not agree what time it is, and of several that have watched the same owner one
gets the turn.
"""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from search.core import lease
from search.core.lease import UNKNOWN_DRIVER, DriverInfo
from spkmodel.core.process_identity import process_start

_POLL_SECONDS = 0.5
_TURN = re.compile(r"turn-(\d{6,})\.json")


def take_turn(folder: Path, say: Callable[[str], None]) -> int:
    """Take the next turn once the previous owner is known to be gone; return its number.

    Args:
        folder: the search's.
        say: called with a line that says what is waited for.

    Raises:
        EnvironmentSetupError: if the owner is alive, or another process gets the turn.
    """
    before = list_turns(folder)
    last = turn_path(folder, before[-1]) if before else folder / lease.DRIVER_FILE
    owner = lease.read_owner(last)
    if owner is not None and not owner.same_process(lease.this_process()):
        before = _outlast(folder, owner, before, say)
    turn = 1 + max(before, default=0)
    if not _create(turn_path(folder, turn)):
        raise lease.already_driven_error(folder, lease.read_owner(turn_path(folder, turn)))
    now = list_turns(folder)
    if now != [*before, turn]:
        # What was seen before is no longer true: somebody came and left, and turns began anew. Two
        # processes could then hold turns of different series, so this one gives its turn back.
        turn_path(folder, turn).unlink(missing_ok=True)
        raise lease.already_driven_error(folder, lease.read_recorded_driver(folder))
    # Removed last: a process that dies before this leaves them, and the next owner counts on.
    for each in before:
        turn_path(folder, each).unlink(missing_ok=True)
    return turn


def list_turns(folder: Path) -> list[int]:
    """Return the turns that somebody holds, or has left without removing them, in order."""
    with os.scandir(folder) as entries:
        found = [_TURN.fullmatch(entry.name) for entry in entries]
    return sorted(int(match[1]) for match in found if match)


def turn_path(folder: Path, turn: int) -> Path:
    """Return the file that stands for a turn."""
    return folder / f"turn-{turn:06d}.json"


def _create(path: Path) -> bool:
    """Create the file, and return whether this process, and no other, has created it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(lease.this_process()), file)
        file.flush()
        os.fsync(file.fileno())
    return True


def _outlast(
    folder: Path, owner: DriverInfo, turns: list[int], say: Callable[[str], None]
) -> list[int]:
    """Wait until the owner is known to be gone, and return the turns that are left then.

    Raises:
        EnvironmentSetupError: if the owner is alive, or another process took over.
    """
    if owner.is_of_this_host:
        if process_start(owner.pid) == owner.started:
            raise lease.already_driven_error(folder, owner)
        return turns
    who = "somebody unknown" if owner is UNKNOWN_DRIVER else f"process {owner.pid} on {owner.host}"
    say(
        f"search {folder.name!r} was driven by {who}, which did not leave in order; taking over if "
        f"it gives no sign of life for {lease.LEASE_SECONDS:.0f} s"
    )
    heartbeat = lease.read_heartbeat(folder)
    end = lease.monotonic_seconds() + lease.LEASE_SECONDS
    while lease.monotonic_seconds() < end:
        time.sleep(_POLL_SECONDS)
        now, seen = list_turns(folder), lease.read_heartbeat(folder)
        if not now and seen is None:
            return []
        # An owner that leaves in order removes its record first, then the turn, so either may be
        # gone at this moment. Any other change is made by a new owner.
        if now not in (turns, []) or seen not in (heartbeat, None):
            raise lease.already_driven_error(folder, lease.read_recorded_driver(folder))
    return turns
