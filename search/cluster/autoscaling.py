"""Slots that follow a cluster as it grows and shrinks, and what its autoscaler is asked for.

The cluster is looked at on a thread of its own: a head that does not answer must not hold up the
driver, which has reports to take and signals to heed.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.cluster import nodes
from search.cluster.slots import Needs, Node, total, why_none
from search.core.errors import EnvironmentSetupError

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_CHECK_SECONDS = 15.0
"""For a machine that has just come."""
_ASK_SECONDS = 5.0
"""Between two questions to a machine that did not answer, and two requests to the autoscaler."""


class SlotMonitor:
    """How many trials there is room for now: call it."""

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
        """What trials read besides what is in `home`."""
        self._most = most
        self._wanted = wanted
        self._good = {node.node_id for node in there}
        self._bad: dict[str, float] = {}
        """Machines that may not be used, and for how many seconds they are not asked again."""
        self._slots = total(there, needs)
        self._requested = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="room", daemon=True)

    def __call__(self) -> int:
        """Never more than is asked for with `--concurrent`; quick."""
        most = self._most()
        return self._slots if most is None else min(self._slots, most)

    def start(self) -> None:
        """Begin to follow the cluster."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and take back what was asked of the autoscaler."""
        self._ended.set()
        self._thread.join(timeout=5)
        if self._requested:
            self._request(0)

    def _follow(self) -> None:
        since = _ASK_SECONDS
        trouble = ""
        while not self._ended.wait(_LOOK_SECONDS):
            since += _LOOK_SECONDS
            try:
                self.look()
                if since >= _ASK_SECONDS:
                    since = 0.0
                    self._ask()
                trouble = ""
            except Exception as error:  # noqa: BLE001  # a head that is away; the last count stands
                if str(error) != trouble:
                    log.warning("the cluster cannot be looked at: %s", error)
                trouble = str(error)

    def look(self) -> None:
        """Count anew; a machine that has just come is tried first."""
        there = nodes.alive()
        for node in there:
            if node.node_id not in self._good and total([node], self._needs) > 0:
                self._try(node)
        slots = total([node for node in there if node.node_id in self._good], self._needs)
        if slots != self._slots:
            log.info("the cluster has room for %d trials, before for %d", slots, self._slots)
        self._slots = slots

    def _try(self, node: Node) -> None:
        self._bad[node.node_id] = self._bad.get(node.node_id, 0.0) - _LOOK_SECONDS
        if self._bad[node.node_id] > 0:
            return
        try:
            nodes.check([node], self._home, _CHECK_SECONDS, self._folders)
        except EnvironmentSetupError as problem:
            self._bad[node.node_id] = 60.0
            log.warning("machine %s has come and is not counted: %s", node.name, problem)
        else:
            self._good.add(node.node_id)
            self._bad.pop(node.node_id)

    def _ask(self) -> None:
        wanted, most = self._wanted(), self._most()
        wanted = wanted if most is None else min(wanted, most)
        if wanted != self._requested:
            self._request(wanted)

    def _request(self, trials: int) -> None:
        """Tell the autoscaler, if there is one, for how many trials the cluster is to have room."""
        from ray.autoscaler.sdk import request_resources

        request_resources(bundles=[self._needs.bundle() for _ in range(trials)])
        self._requested = trials


def checked(needs: Needs, home: Path, folders: Sequence[str] = ()) -> list[Node]:
    """The machines of the cluster that we have joined, each of which can run trials of ours.

    Raises:
        EnvironmentSetupError: if a machine does not share the storage, lacks a folder or runs
            something else, or a trial fits on none.
    """
    there = nodes.alive()
    usable = [node for node in there if node.cpus or node.gpus]
    # Where no machine can run anything at all, an autoscaler is expected to bring some.
    if usable and (reason := why_none(usable, needs)):
        raise EnvironmentSetupError(reason)
    if len(there) > 1:
        nodes.check(there, home, folders=folders)
    return there


@contextmanager
def followed(room: SlotMonitor) -> Iterator[SlotMonitor]:
    """The room, for as long as the context lasts."""
    room.start()
    try:
        yield room
    finally:
        room.close()
