"""What a launch does when its Ray cluster is lost: begin anew on a head of its own, or end.

Nothing of this process can be trusted with Ray any more, so it is replaced (`search.core.restart`).
The launch that follows takes over as after a driver that was killed.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Callable

from search.cluster.cluster_watch import ClusterWatch
from search.core import restart
from search.core.errors import SignalReceived
from search.core.process_tree import list_children
from search.core.restart import Handoff
from search.ledger.events import ClusterLostEvent
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.reporting import snapshot

log = logging.getLogger(__name__)

MOST_RESTARTS = 3
"""In a row, with no epoch recorded in between."""

LOST_HEAD_LOG = "ray-lost.log"
"""In the search's folder: the last lines of the head that was lost last."""

_RECORD_SECONDS = 5.0
"""How long the ledger may take: its storage may be what is in trouble."""
_SHOW_CURSOR = "\x1b[?25h"


class ClusterLossHandler:
    """Replaces this process when the cluster is lost; called on whichever thread finds out."""

    def __init__(
        self,
        ledger: Ledger,
        state: SearchState,
        watch: ClusterWatch,
        say: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._state = state
        self._watch = watch
        self._say = say
        self._log = ledger.path.parent / LOST_HEAD_LOG
        self._epochs = _count_epochs(state)

    def __call__(self, reason: str) -> None:
        """Begin anew, or end; in a process that may not be replaced, leave it to the session."""
        if not restart.is_allowed():
            return
        number = self._next_number()
        handoff = Handoff(number=number) if number else self._final(reason)
        self._record(ClusterLostEvent(reason=reason, restart=number))
        if number:
            self._say(
                f"{reason}; Ray is started again, and the search goes on from what is recorded "
                f"(restart {number}, of {MOST_RESTARTS} without an epoch in between); the last "
                f"lines of its logs: {self._log}"
            )
        if self._watch.head is not None:
            self._watch.head.end(self._log)
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)  # which a live table has hidden
        restart.run_again(
            Handoff(number, handoff.message, handoff.signal, children=tuple(list_children()))
        )

    def _next_number(self) -> int:
        """Return the number of the restart that is due; 0: this launch ends."""
        is_leaving = self._watch.signal or self._state.search_stop
        if self._watch.shared or is_leaving:
            return 0
        has_got_on = _count_epochs(self._state) > self._epochs
        number = 1 if has_got_on else restart.received().number + 1
        return number if number <= MOST_RESTARTS else 0

    def _final(self, reason: str) -> Handoff:
        again = snapshot.format_resume_command(self._state.search)
        recorded = "what is recorded is sound, and the same launch goes on from there"
        if self._watch.signal:
            why = f"{SignalReceived(self._watch.signal)}, and {reason}"
            return Handoff(message=f"{why}; {recorded}:\n  {again}", signal=self._watch.signal)
        tried = f" {MOST_RESTARTS} restarts brought nothing, its last lines are in {self._log};"
        if self._watch.shared:
            tried = ""
        if self._state.search_stop:
            tried = " the search was asked to stop;"
        return Handoff(message=f"{reason};{tried} {recorded}:\n  {again}")

    def _record(self, event: ClusterLostEvent) -> None:
        """Record the loss if the storage takes it soon; the next driver does without."""

        def append() -> None:
            with contextlib.suppress(Exception):
                self._ledger.append(event)

        writing = threading.Thread(target=append, name="cluster-loss", daemon=True)
        writing.start()
        writing.join(_RECORD_SECONDS)


def _count_epochs(state: SearchState) -> int:
    return sum(len(trial.reports) for trial in state.trials.values())
