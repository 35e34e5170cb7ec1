"""Hold a search, or release it: nothing is written where that changes nothing."""

import logging
from collections.abc import Iterator

from search.ledger.events import Event, HoldEvent, ReleaseEvent
from search.ledger.state import SearchState

log = logging.getLogger(__name__)


def hold(state: SearchState, cause: str, reason: str, by: str) -> Iterator[Event]:
    """Start nothing new while `cause` lasts; what is running goes on to its rung."""
    if cause not in state.holds:
        log.info("on hold: %s", reason)
        yield HoldEvent(cause=cause, reason=reason, by=by)


def release(state: SearchState, cause: str, by: str) -> Iterator[Event]:
    """Take note that the cause is gone; where no other one holds, work goes on."""
    if cause in state.holds:
        log.info("no longer on hold: %s", state.holds[cause])
        yield ReleaseEvent(cause=cause, by=by)
