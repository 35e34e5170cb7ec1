"""Follow a search that runs elsewhere: print its logs, wait for its end."""

import codecs
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from search.core.errors import EnvironmentSetupError, NotFinished, NotFound, SpksearchError
from search.core.lease import find_live_driver
from search.core.paths import existing_ledger, home, ledger_path, search_folder
from search.launch import background, launch_record
from search.launch.background import LOG
from search.launch.launch_record import BackgroundLaunch
from search.launch.open_search import find_trial
from search.launch.summary import no_usable_trial
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.reporting.snapshot import ENDED, format_resume_command

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 2.0
"""Between a driver's death and the verdict: its last words may still be on their way."""


class LogFollower:
    """A search's state, kept up to date by what is new in its ledger."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = SearchState()
        self._ledger = Ledger.open(ledger_path(name))
        self._offset = 0

    def refresh(self) -> SearchState:
        """Return the state as it is now."""
        events, self._offset = self._ledger.events_from(self._offset)
        for event in events:
            self.state.apply(event)
        return self.state

    def is_driven(self) -> bool:
        """Return whether a driver runs the search, or is about to."""
        if find_live_driver(search_folder(self.name)) is not None:
            return True
        launched = launch_record.read(self.name)
        return launched is not None and background.is_running(launched) is True


def wait(
    name: str, timeout: float | None, now: Callable[[], float] = time.monotonic
) -> SearchState:
    """Wait until a search has ended in order; return its outcome.

    Raises:
        NotFound: there is no such search.
        NotFinished: it had not ended at the timeout.
        NoUsableTrial: it ended and no trial has a result.
        EnvironmentSetupError: its driver is gone, and it has not ended.
        SpksearchError: its launch in the background failed: with the same exit code.
    """
    if launch_record.read(name) is None:
        existing_ledger(name)
    follower = LogFollower(name)
    end = None if timeout is None else now() + timeout
    gone_since: float | None = None
    while True:
        # In this order: a driver writes the end before it goes.
        driven = follower.is_driven()
        state = follower.refresh()
        if not driven and state.finish is not None:
            return _judged(name, state)
        gone_since = None if driven else gone_since if gone_since is not None else now()
        if gone_since is not None and now() - gone_since >= _GRACE_SECONDS:
            raise _died(name, state)
        if end is not None and now() >= end:
            raise NotFinished(
                f"search {name!r} has not ended after {timeout:g} s; `spksearch status {name}`"
            )
        time.sleep(_POLL_SECONDS)


def _judged(name: str, state: SearchState) -> SearchState:
    none_usable = no_usable_trial(name, state)
    if none_usable is not None:
        raise none_usable
    return state


def _died(name: str, state: SearchState) -> SpksearchError:
    launched = launch_record.read(name)
    if launched is not None and launched.ended is not None and launched.ended.code:
        before = "" if state.settings else ", before the search began,"
        return launched.ended.problem(f"the launch of search {name!r}{before}")
    where = f"\n  spksearch logs {name}    # its last words" if launched else ""
    if state.settings is None:
        seen = ""
        if launched is not None and launched.kind == "job":
            seen = f", or its ledger is in a folder that this machine does not share ({home()})"
        return EnvironmentSetupError(
            f"the launch of search {name!r} ended before the search began{seen}{where}"
        )
    return EnvironmentSetupError(
        f"nobody drives search {name!r}, and it has not ended; the same launch goes on with it:\n"
        f"  {format_resume_command(state.search)}{where}"
    )


# --- logs ------------------------------------------------------------------------------------


def trial_log(name: str, trial: str, follow: bool) -> Iterator[str]:
    """Yield a trial's log piece by piece; with `follow` until it, or its search, has ended.

    Raises:
        NotFound: no such search or trial.
        NotFinished: it has not said anything yet.
    """
    existing_ledger(name)
    follower = LogFollower(name)
    find_trial(name, follower.refresh(), trial)
    path = search_folder(name) / "trials" / trial / "log.txt"
    if not follow and not path.is_file():
        raise NotFinished(
            f"trial {trial} of search {name!r} has said nothing yet: it does so after each epoch; "
            f"spksearch logs {name} {trial} --follow waits for it"
        )

    def is_over() -> bool:
        return follower.refresh().trials[trial].state in ENDED or not follower.is_driven()

    return _pieces(path, is_over if follow else None)


def driver_log(name: str, follow: bool) -> Iterator[str]:
    """Yield the log of a background launch; with `follow` until it has ended.

    Raises:
        NotFound: no such search, or it was not launched in the background.
        EnvironmentSetupError: the cluster that has it does not answer.
    """
    launched = launch_record.read(name)
    if launched is None:
        existing_ledger(name)
        raise NotFound(
            f"search {name!r} was not launched with --detach: what its driver says is where it "
            f"was launched; spksearch logs {name} TRIAL shows a trial's log"
        )
    if launched.kind == "job":
        from search.launch import ray_job

        return ray_job.log(launched, follow)
    return _pieces(search_folder(name) / LOG, _has_ended(launched) if follow else None)


def launch_code(name: str) -> int:
    """Return the exit code of the last background launch, if it ended and could record it."""
    launched = launch_record.read(name)
    return 0 if launched is None or launched.ended is None else launched.ended.code


def _has_ended(launched: BackgroundLaunch) -> Callable[[], bool]:
    return lambda: background.is_running(launched) is False


def _pieces(path: Path, is_over: Callable[[], bool] | None) -> Iterator[str]:
    """Yield a file's text, and what is appended until `is_over`; without it, what is there now."""
    offset = 0
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        over = is_over is None or is_over()
        if path.is_file():
            with path.open("rb") as file:
                file.seek(offset)
                new = file.read()
            offset += len(new)
            if text := decoder.decode(new):
                yield text
        if over:
            return
        time.sleep(_POLL_SECONDS)
