"""Feed MLflow from a search's ledger, on a thread of its own; no search ever waits for it.

The ledger is the truth. Whatever happens to the server, to this process or to the runs, the next
delivery starts from what MLflow has and sends what it lacks.
"""

import contextlib
import fcntl
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from search.core.redact import redact
from search.ledger.events import LedgerDamaged
from search.ledger.ledger import Ledger
from search.tracking import ui_view
from search.tracking.client_settings import client_settings
from search.tracking.projection import SEARCH, RunProjection
from search.tracking.server import READY_SECONDS, find_running
from search.tracking.server_access import require_proof

if TYPE_CHECKING:
    from search.tracking.stop_tags import StopTags
    from search.tracking.uploader import Uploader

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
"""Between two tries while the server is away."""
_FIRST_WAIT_SECONDS = 0.5
_HURRIED_WAIT_SECONDS = 1.0
_REVIVE_SECONDS = 20.0
"""Between two starts of a server that stays away, doubled each time: one costs 10 CPU-seconds."""
_DECORATE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TrackerHealth:
    """How far the tracker is, and what is in its way."""

    ok: bool
    """Whether the last try got through; True before the first one."""
    queued: int
    """Ledger events that MLflow has not received yet."""
    error: str = ""
    """The last error, without credentials; empty when `ok`."""


class Tracker:
    """Follows a ledger and keeps MLflow at its state, from `start` to `close`.

    One process at a time feeds from a ledger; another one that tries waits for its turn.
    """

    def __init__(
        self, ledger_path: Path, tracking_uri: str, revive: Callable[[], None] | None = None
    ) -> None:
        """Read and send nothing before `start`.

        Args:
            ledger_path: need not exist yet.
            tracking_uri: of the MLflow server or store.
            revive: called while the server does not answer, to start it again without waiting.
        """
        self._ledger = Ledger.open(ledger_path)
        self._home = ledger_path.absolute().parent.parent
        self._uri = tracking_uri
        self._revive = revive
        self._offset = 0
        self._mirror = RunProjection()
        self._changed: set[str] = set()
        self._delivery: Uploader | None = None
        self._stop_tags: StopTags | None = None
        self._waiting: Counter[str] = Counter()
        """By run: events that MLflow has not received yet."""
        self._queued = 0
        self._failures = 0
        self._error = ""
        self._revivals = 0
        self._revive_at = 0.0
        self._decorated_at = 0.0
        self._complete_since = -1.0
        self._hurry = False
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="mlflow-tracker", daemon=True)

    def start(self) -> "Tracker":
        """Begin to follow."""
        self._thread.start()
        return self

    def health(self) -> TrackerHealth:
        """Return how far the tracker is; never blocks."""
        return TrackerHealth(not self._error, self._queued, self._error)

    def processor_seconds(self) -> float:
        """Return the processor time of its thread; 0 where the system does not tell."""
        thread = self._thread.ident
        if thread is None or not self._thread.is_alive() or sys.platform != "linux":
            return 0.0
        return time.clock_gettime(time.pthread_getcpuclockid(thread))

    def address(self) -> str:
        """Return where the search can be browsed; empty until the server has answered once."""
        delivery = self._delivery
        if delivery is None or not delivery.experiment_id or not self._uri.startswith("http"):
            return ""
        return ui_view.address(self._uri, delivery.experiment_id, self._mirror.name)

    def drain(self, timeout: float) -> bool:
        """Wait until MLflow has all that the ledger holds now; return False if time is up first."""
        asked, end = time.monotonic(), time.monotonic() + timeout
        self._hurry = True
        try:
            with self._progress:
                while self._complete_since < asked:
                    self._wake.set()
                    left = end - time.monotonic()
                    if left <= 0 or not self._thread.is_alive():
                        return False
                    self._progress.wait(min(left, 0.2))
            return True
        finally:
            self._hurry = False

    def close(self, timeout: float = 5.0) -> None:
        """Stop following; the next tracker delivers the rest. To wait, `drain` before."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with client_settings(self._uri, self._home), self._turn() as turn:
                self._await_server()
                while turn and not self._closing.is_set():
                    self._cycle()
        except Exception as problem:  # nothing that goes wrong here may end a search
            self._error = redact(f"the tracker ended: {problem!r}")
            log.exception("the tracker ended")
        finally:
            if self._delivery is not None:
                self._delivery.close()

    def _await_server(self) -> None:
        """Wait for a local server that is starting: that is no outage."""
        server = find_running(self._home)
        end = time.monotonic() + READY_SECONDS
        while server is not None and server.uri == self._uri and server.alive():
            if server.answers() or self._closing.wait(0.2) or time.monotonic() > end:
                return

    @contextlib.contextmanager
    def _turn(self) -> Iterator[bool]:
        """Wait for the lock to feed from this ledger; return False if closed first."""
        lock = take_turn(self._ledger.path.parent)
        if lock is None:
            self._error = "another process feeds MLflow from this ledger"
        while lock is None and not self._closing.wait(POLL_SECONDS):
            lock = take_turn(self._ledger.path.parent)
        self._error = ""
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.close()

    def _cycle(self) -> None:
        began = time.monotonic()
        try:
            self._read()
            self._deliver()
        except Exception as problem:  # noqa: BLE001 (a server may fail in any way; the search goes on)
            self._failed(problem)
            return
        if self._failures:
            log.info("tracking server is back: events=%d", self._mirror.events)
        self._failures, self._revivals, self._revive_at, self._error = 0, 0, 0.0, ""
        if self._delivery is not None and self._stop_tags is not None:
            self._stop_tags.poll(self._delivery.experiment_id, self._delivery.runs())
        with self._progress:
            self._complete_since = began
            self._progress.notify_all()
        self._wake.wait(POLL_SECONDS)
        self._wake.clear()

    def _read(self) -> None:
        events, self._offset = self._ledger.events_from(self._offset)
        for event in events:
            self._waiting[event.trial_name or SEARCH] += 1
            self._queued += 1
            try:
                self._changed |= self._mirror.add(event)
            except (KeyError, TypeError, ValueError, LedgerDamaged) as problem:
                log.warning(
                    "event left out of MLflow: number=%d event=%s problem=%r",
                    self._mirror.events,
                    event.event,
                    problem,
                )

    def _deliver(self) -> None:
        if not self._mirror.runs:
            return
        # Others may have taken the port of a server that was lost.
        if self._delivery is None or self._failures:
            require_proof(self._uri, self._home)
        if self._delivery is None:
            self._delivery, self._stop_tags = _clients(
                self._uri, self._mirror, self._ledger.path.parent
            )
        if self._changed or not self._delivery.experiment_id:
            self._delivery.deliver(set(self._changed), self._received)
            self._changed.clear()
        self._waiting.clear()
        self._queued = 0
        if self._hurry or time.monotonic() - self._decorated_at > _DECORATE_SECONDS:
            self._delivery.update_ui_tags()
            self._decorated_at = time.monotonic()

    def _received(self, key: str) -> None:
        self._queued -= self._waiting.pop(key, 0)

    def _failed(self, problem: Exception) -> None:
        """Report the error once, revive the server, and wait, longer each time."""
        if self._delivery is not None:
            self._delivery.invalidate()
        self._error = redact(" ".join(str(problem).split()))[:300]
        if self._failures == 0:
            log.warning("MLflow does not take what it is sent, trying on: %s", self._error)
        self._failures += 1
        self._revive_now_and_then()
        wait = min(LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(self._failures, 10))
        end = time.monotonic() + wait
        while time.monotonic() < end and not self._closing.is_set():
            if self._hurry and time.monotonic() > end - wait + _HURRIED_WAIT_SECONDS:
                return
            self._closing.wait(0.1)

    def _revive_now_and_then(self) -> None:
        if self._revive is None or time.monotonic() < self._revive_at:
            return
        self._revive_at = time.monotonic() + _REVIVE_SECONDS * 2 ** min(self._revivals, 6)
        self._revivals += 1
        try:
            self._revive()
        except Exception as problem:  # noqa: BLE001 (starting it again is a courtesy)
            log.warning("the tracking server cannot be started again: %s", redact(str(problem)))


def catch_up(ledger_path: Path, tracking_uri: str, timeout: float = 60.0) -> bool:
    """Bring MLflow to the ledger's state once; return whether it got there.

    Where another process feeds from this ledger, which needs no help, that counts as well.
    """
    if (lock := take_turn(ledger_path.parent)) is None:
        return True
    lock.close()
    tracker = Tracker(ledger_path, tracking_uri).start()
    try:
        return tracker.drain(timeout)
    finally:
        tracker.close()


def take_turn(folder: Path) -> IO[str] | None:
    """Take the lock that only one tracker of a ledger holds, until closed or its process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "tracking.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _clients(uri: str, mirror: RunProjection, folder: Path) -> "tuple[Uploader, StopTags]":
    from mlflow import MlflowClient

    from search.tracking.rest_client import for_server
    from search.tracking.stop_tags import StopTags
    from search.tracking.uploader import Uploader

    client = MlflowClient(tracking_uri=uri)
    calls = for_server(uri, client, folder.absolute().parent)
    return Uploader(client, calls, mirror), StopTags(client, folder, uri)
