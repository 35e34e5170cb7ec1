"""Turn requests from other terminals into events of the ledger.

A driver carries out what it finds; where none runs, what needs none is recorded on the spot.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from search.core.errors import EnvironmentSetupError, NotFound, SpksearchError, UsageError
from search.core.lease import DriverInfo, find_live_driver, this_process
from search.core.paths import existing_ledger
from search.ledger.events import Event, HoldEvent, QueuedEvent, ReleaseEvent, SearchEvent, StopEvent
from search.ledger.kinds import DRIVER_ENDED
from search.ledger.ledger import Ledger
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.ledger.trial import crash_event
from search.requests import mailbox
from search.requests.mailbox import identity
from search.requests.messages import Add, Budget, Pause, Request, Stop, Unpause
from search.sampler import sampler
from search.scheduler.asha import find_outcomes
from search.scheduler.policy import AshaPolicy, extend_ladder
from search.space import locate
from search.space.branches import Space
from spkmodel.config import TrainConfig

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
"""How long who asks waits for a driver's answer; one that connects to a cluster takes longer."""
_POLL_SECONDS = 0.25


# --- what a request amounts to ---------------------------------------------------------------


def event_of_request(
    state: SearchState, request: Request, me: str = "", space: Space | None = None
) -> Event:
    """Return the event that applies a request.

    Args:
        state: the search.
        request: what is asked of it.
        me: identity of its driver; empty if there is none.
        space: in which an added config may be a point; None if it is not at hand.

    Raises:
        NotFound: it has no such trial.
        UsageError: it cannot be done, or was asked of an earlier driver.
    """
    match request:
        case Stop():
            if request.trial is None:
                _require_driver(state, request, me)
            else:
                _require_stoppable(state, request.trial)
            return StopEvent(trial=request.trial, now=request.now, by=request.by)
        case Pause() | Unpause():
            _require_driver(state, request, me)
            return _pause_event(state, request)
        case Add():
            return QueuedEvent.from_queued(_queued(state, request, space), by=request.by)
        case Budget():
            return _budget_event(state, request)


def _pause_event(state: SearchState, request: Pause | Unpause) -> Event:
    paused = state.holds.get("user")
    match request:
        case Pause() if paused is None:
            reason = f"paused by {request.by}"
            return HoldEvent(cause="user", reason=reason, by=request.by)
        case Unpause() if paused is not None:
            return ReleaseEvent(cause="user", by=request.by)
    name = state.search.search
    there = "not paused: nothing to resume"
    if paused:
        there = f"{paused} already; spksearch resume {name} ends that"
    raise UsageError(f"search {name!r} is {there}")


def _require_driver(state: SearchState, request: Request, me: str) -> None:
    """Refuse a pause or stop that was meant for another driver."""
    name, verb = state.search.search, request.kind
    if not me and state.finish is not None and not state.search_stop:
        raise UsageError(
            f"search {name!r} has finished: nothing to {verb}; launching it again with larger "
            "budgets goes on with it"
        )
    if not me:
        raise UsageError(
            f"search {name!r} is not running: nothing to {verb}; launching it again goes on with "
            "it (a launch that still prepares its corpus reads no requests: Ctrl-C ends it, there)"
        )
    if request.driver != me:
        raise UsageError(f"{verb} was asked of an earlier driver of search {name!r}, which ended")


def _require_stoppable(state: SearchState, trial: str) -> None:
    name, record = state.search.search, state.trials.get(trial)
    if record is None:
        raise NotFound(
            f"search {name!r} has no trial {trial!r}; `spksearch trials {name}` lists them"
        )
    if record.state in ("failed", "killed") or record.ended_by == "rule":
        raise UsageError(f"trial {trial} of search {name!r} has ended already ({record.state})")


def _budget_event(state: SearchState, request: Budget) -> SearchEvent:
    settings, asked, name = state.search, request.changes(), state.search.search
    changes = {key: value for key, value in asked.items() if getattr(settings, key) != value}
    if not changes:
        there = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in asked.items())
        raise UsageError(f"search {name!r} has these budgets already: {there or 'none named'}")
    fixed = changes.keys() & {"trials", "max_epochs", "finalists"}
    if settings.replay is not None and fixed:
        raise UsageError(
            f"{name!r} is a replay: its entries are its trials, and their schedules end with the "
            f"training, so --{min(fixed).replace('_', '-')} would make another one of it; launch "
            "another replay"
        )
    if "max_epochs" in changes:
        changes["rungs"] = extend_ladder(
            settings.rungs, changes["max_epochs"], settings.eta, settings.max_epochs
        )
    return settings.extended(changes, request.by)


def _queued(state: SearchState, request: Add, space: Space | None) -> QueuedTrial:
    name = state.search.search
    try:
        config = TrainConfig.model_validate(request.config)
    except ValueError as error:
        raise UsageError(f"its config is none: {error}") from error
    same = next((t for t in state.trials.values() if t.signature == config.signature), None)
    if same is not None:
        raise UsageError(
            f"trial {same.trial} of search {name!r} has this config already ({same.state}); "
            f"`spksearch show {name} {same.trial}`. The same with another seed: --set seed=1"
        )
    key = f"added/{config.signature}"
    if key in state.queue:
        raise UsageError(f"search {name!r} is to try this config already: it waits for its turn")
    axes, distributions = request.axes, dict[str, str]()
    if space is not None and state.search.replay is None:
        axes, distributions = _placed(space, config, request)
    return QueuedTrial(key, config.model_dump(mode="json"), request.origin, request.log_entry,
                axes=axes, distributions=distributions)  # fmt: skip


def _placed(
    space: Space, config: TrainConfig, request: Add
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the config's point in the space, so that the sampler can learn from it.

    If it does not lie there, what the request says.
    """
    plain = config.model_copy(update={"warm_start": None})
    place = locate.locate_config(space, plain, request.near)
    if config.warm_start is not None or place.misfits:
        return request.axes, {}
    made = sampler.complete_point(space, place.axes, config.seed)
    return (made.axes, made.distributions) if made.config == config else (request.axes, {})


# --- who records them ------------------------------------------------------------------------


class RequestHandler:
    """Applies the requests in a search's mailbox, for its driver."""

    def __init__(self, folder: Path, state: SearchState, space: Space) -> None:
        self._folder = folder
        self._state = state
        self._space = space
        self._polled = 0.0

    def poll(self) -> Iterator[Event]:
        """Yield the events of new requests, oldest first.

        A request is answered when the iterator goes on: by then its event must be recorded.
        """
        if time.monotonic() - self._polled < _POLL_SECONDS:
            return
        self._polled = time.monotonic()
        for pending in mailbox.pending(self._folder):
            yield from self._carry_out(pending)

    def close(self) -> None:
        """Refuse pauses and stops that came too late; leave other requests to the next driver."""
        for each in mailbox.pending(self._folder):
            with contextlib.suppress(OSError, ValueError):
                request = each.read()
                if isinstance(request, Pause | Unpause) or (
                    isinstance(request, Stop) and request.trial is None
                ):
                    each.refuse("the search had come to its end before")

    def _carry_out(self, pending: mailbox.Pending) -> Iterator[Event]:
        if pending.name in self._state.requests:
            pending.done()  # a driver died between the event and this
            return
        try:
            request = pending.read()
            event = event_of_request(self._state, request, identity(this_process()), self._space)
        except (SpksearchError, ValueError, OSError) as problem:
            log.warning("refused the request %s: %s", pending.path.name, problem)
            with contextlib.suppress(OSError):
                pending.refuse(str(problem))
            return
        yield event.model_copy(update={"request": pending.name})
        pending.done()


def ask(name: str, request: Request) -> Literal["done", "asked", "recorded"]:
    """Apply a request: through the driver if the search has one, else directly in the ledger.

    Returns:
        "done" if its driver has done it, "asked" if the driver has not answered yet, "recorded" if
        there is no driver and the ledger says it now.

    Raises:
        NotFound: there is no such search or trial.
        UsageError: it cannot be done.
        EnvironmentSetupError: the ledger cannot be written.
    """
    path = existing_ledger(name)
    while True:
        driver = find_live_driver(path.parent)
        if driver is not None:
            answer = _ask_driver(path, request, driver)
            if answer is not None:
                return answer
            continue
        try:
            return _record(path, request)
        except EnvironmentSetupError:
            if find_live_driver(path.parent) is None:
                raise
            # It began to drive in this moment: it is asked.


def _ask_driver(
    path: Path, request: Request, driver: DriverInfo
) -> Literal["done", "asked", "recorded"] | None:
    """Send a request to the driver and return its answer; None if it died before it applied it."""
    request = request.model_copy(update={"driver": identity(driver)})
    event_of_request(Ledger.open(path).state(), request, request.driver)  # raises, or is fine
    sent = mailbox.write(path.parent, request)
    reason = mailbox.answer(sent, PATIENCE_SECONDS)
    if reason:
        raise UsageError(reason)
    if reason is not None:
        return "done"
    if find_live_driver(path.parent) is not None:
        return "asked"
    sent.done()
    return "done" if sent.name in Ledger.open(path).state().requests else None


def _record(path: Path, request: Request) -> Literal["recorded"]:
    event_of_request(Ledger.open(path).state(), request)  # raises before the ledger is locked
    with Ledger.open(path, write=True, drives=False) as ledger:
        ledger.append(event_of_request(ledger.state(), request))
        if isinstance(request, Stop):
            _end_stopped(ledger, str(request.trial))
    return "recorded"


def _end_stopped(ledger: Ledger, trial: str) -> None:
    """Record the end of a trial that was asked to stop and that nobody trains."""
    record = ledger.trials()[trial]
    if record.live:
        ledger.append(crash_event(record, DRIVER_ENDED, "driver"))
    state = ledger.state()
    for end in find_outcomes(state, AshaPolicy.from_settings(state.search)):
        ledger.append(end.to_event(state.trials[end.trial]))
