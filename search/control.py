"""Steer a search from another terminal: requests are files that its driver picks up.

A request is written beside and renamed, so that a driver never reads half of one; any machine that
shares the search's folder can make it.
"""

import getpass
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search.errors import NotFound, UsageProblem
from search.home import existing_ledger
from search.ledger import Ledger
from search.lock import DriverInfo, driver_of
from search.scheduler import Rule, ends
from search.state import SearchState


@dataclass(frozen=True)
class StopRequest:
    """A trial, or the whole search if None, is to stop: after its epoch, or now."""

    trial: str | None
    now: bool
    by: str
    path: Path


def request_stop(name: str, trial: str | None, now: bool) -> Literal["asked", "recorded"]:
    """Ask the driver of a search to stop it or one trial; "recorded" if no driver was needed.

    Raises:
        NotFound: if there is no such search or trial.
        UsageProblem: if there is nothing left to stop.
    """
    path = existing_ledger(name)
    ledger = Ledger.open(path)
    if trial is not None:
        _require_stoppable(ledger.state(), name, trial)
    if driver_alive(path.parent) is not None:
        _write(path.parent, trial, now)
        return "asked"
    if trial is None:
        raise UsageProblem(
            f"search {name!r} is not running: nothing to stop; launching it again goes on with it"
        )
    _record_stop(path, trial, now)
    return "recorded"


def driver_alive(folder: Path) -> DriverInfo | None:
    """Who drives the search in `folder` at this moment; None if nobody."""
    driver = driver_of(folder)
    return driver if driver is not None and driver.is_alive() else None


def pending(folder: Path) -> list[StopRequest]:
    """Requests not carried out yet, oldest first; the driver removes each once it is recorded."""
    requests = []
    for path in sorted((folder / "control").glob("stop-*.json")):
        asked = json.loads(path.read_text(encoding="utf-8"))
        requests.append(StopRequest(asked["trial"], asked["now"], asked["by"], path))
    return requests


def _require_stoppable(state: SearchState, name: str, trial: str) -> None:
    record = state.trials.get(trial)
    if record is None:
        raise NotFound(
            f"search {name!r} has no trial {trial!r}; `spksearch trials {name}` lists them"
        )
    over = record.state in ("failed", "killed") or record.ended_by == "rule"
    if over:
        raise UsageProblem(f"trial {trial} of search {name!r} has ended already ({record.state})")


def _write(folder: Path, trial: str | None, now: bool) -> None:
    control = folder / "control"
    control.mkdir(exist_ok=True)
    name = f"stop-{time.time_ns()}-{os.getpid()}.json"
    beside = control / f".{name}"
    request = {"trial": trial, "now": now, "by": getpass.getuser()}
    beside.write_text(json.dumps(request), encoding="utf-8")
    beside.replace(control / name)


def _record_stop(path: Path, trial: str, now: bool) -> None:
    with Ledger.open(path, write=True) as ledger:
        ledger.append("stop", trial=trial, now=now, by=getpass.getuser())
        state = ledger.state()
        if state.trials[trial].live:
            ledger.append(
                "crash",
                trial=trial,
                attempt=state.trials[trial].attempt,
                reason="its driver ended",
                kind="driver",
                counts=False,
            )
        state = ledger.state()
        for end in ends(state, Rule.of(state.search)):
            rung = state.trials[end.trial].rung
            ledger.append(
                "end",
                trial=end.trial,
                state=end.state,
                reason=end.reason,
                by=end.by,
                kind=end.kind,
                rung=rung,
            )
