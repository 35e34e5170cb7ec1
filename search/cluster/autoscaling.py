"""Count slots as a cluster grows and shrinks, and ask its autoscaler for room.

The cluster is polled on a thread of its own: a head that does not answer must not hold up the
driver, which has to take reports and handle signals.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.cluster import nodes
from search.cluster.slots import Needs, Node, count_slots, explain_no_slot
from search.core.errors import EnvironmentSetupError

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_CHECK_SECONDS = 15.0
"""How long a machine that has just joined may take to answer."""
_ASK_SECONDS = 5.0
"""Between two requests to the autoscaler."""
_RETRY_SECONDS = 60.0
"""Before a machine that failed its check is checked again."""


class SlotMonitor:
    """Follow how many trials the cluster has room for; call it for the number now."""

    def __init__(
        self,
        there: list[Node],
        needs: Needs,
        home: Path,
        *,
        most: Callable[[], int | None],
        wanted: Callable[[], int],
        folders: Sequence[str] = (),
    ) -> None:
        self._needs = needs
        self._home = home
        self._folders = folders
        """Folders outside `home` that trials read."""
        self._most = most
        self._wanted = wanted
        self._good = {node.node_id for node in there}
        self._bad: dict[str, float] = {}
        """Machines that failed their check, and for how many seconds they are not checked again."""
        self._slots = count_slots(there, needs)
        self._requested = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="slot-monitor", daemon=True)

    def __call__(self) -> int:
        """Return the last count, at most `--concurrent`; quick."""
        most = self._most()
        return self._slots if most is None else min(self._slots, most)

    def start(self) -> None:
        """Start polling the cluster."""
        self._thread.start()

    def close(self) -> None:
        """Stop polling, and withdraw the request to the autoscaler."""
        self._ended.set()
        self._thread.join(timeout=5)
        if self._requested:
            self._request(0)

    def _poll(self) -> None:
        since = _ASK_SECONDS
        problem = ""
        while not self._ended.wait(_POLL_SECONDS):
            since += _POLL_SECONDS
            try:
                self.refresh()
                if since >= _ASK_SECONDS:
                    since = 0.0
                    self._update_request()
                problem = ""
            except Exception as error:  # noqa: BLE001  # the head is away; the last count stands
                if str(error) != problem:  # once, not every second
                    log.warning("the cluster cannot be looked at: %s", error)
                problem = str(error)

    def refresh(self) -> None:
        """Count the slots again; check a machine that has just joined before counting it."""
        there = nodes.list_nodes()
        for node in there:
            # A machine on which no trial fits, such as a head without CPUs, need not be checked.
            if node.node_id not in self._good and count_slots([node], self._needs) > 0:
                self._check(node)
        # Machines that have left are not in `there`, and so are no longer counted.
        slots = count_slots([node for node in there if node.node_id in self._good], self._needs)
        if slots != self._slots:
            log.info("the cluster has room for %d trials, before for %d", slots, self._slots)
        self._slots = slots

    def _check(self, node: Node) -> None:
        self._bad[node.node_id] = self._bad.get(node.node_id, 0.0) - _POLL_SECONDS
        if self._bad[node.node_id] > 0:
            return
        try:
            nodes.check_nodes([node], self._home, _CHECK_SECONDS, self._folders)
        except EnvironmentSetupError as problem:
            self._bad[node.node_id] = _RETRY_SECONDS
            log.warning("machine %s has come and is not counted: %s", node.name, problem)
        else:
            self._good.add(node.node_id)
            self._bad.pop(node.node_id)

    def _update_request(self) -> None:
        wanted, most = self._wanted(), self._most()
        wanted = wanted if most is None else min(wanted, most)
        if wanted != self._requested:
            self._request(wanted)

    def _request(self, trials: int) -> None:
        """Ask the autoscaler, if there is one, for room for this number of trials."""
        from ray.autoscaler.sdk import request_resources

        request_resources(bundles=[self._needs.bundle() for _ in range(trials)])
        self._requested = trials


def list_checked_nodes(needs: Needs, home: Path, folders: Sequence[str] = ()) -> list[Node]:
    """Return the machines of the joined cluster, after checking that they can run trials.

    Raises:
        EnvironmentSetupError: if a machine does not share the storage, lacks a folder or runs
            something else, or a trial fits on none.
    """
    there = nodes.list_nodes()
    usable = [node for node in there if node.cpus or node.gpus]
    # Where no machine can run anything at all, an autoscaler is expected to bring some.
    if usable and (reason := explain_no_slot(usable, needs)):
        raise EnvironmentSetupError(reason)
    if len(there) > 1:
        nodes.check_nodes(there, home, folders=folders)
    return there


@contextmanager
def run_slot_monitor(monitor: SlotMonitor) -> Iterator[SlotMonitor]:
    """Run a slot monitor while the context lasts."""
    monitor.start()
    try:
        yield monitor
    finally:
        monitor.close()
