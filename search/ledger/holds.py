"""Hold a search, or release it; write no event where nothing would change."""

import logging
from collections.abc import Iterator

from search.ledger.events import Event, HoldEvent, ReleaseEvent
from search.ledger.state import SearchState

log = logging.getLogger(__name__)


def hold(state: SearchState, cause: str, reason: str, by: str) -> Iterator[Event]:
    """Start no attempt while `cause` lasts; running attempts go on to their rungs."""
    if cause not in state.holds:
        log.info("on hold: %s", reason)
        yield HoldEvent(cause=cause, reason=reason, by=by)


def release(state: SearchState, cause: str, by: str) -> Iterator[Event]:
    """Record that the cause is gone; the search goes on unless another cause holds it."""
    if cause in state.holds:
        log.info("no longer on hold: %s", state.holds[cause])
        yield ReleaseEvent(cause=cause, by=by)
