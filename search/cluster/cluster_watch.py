"""Find out that the cluster of a search is lost, while whoever needs it may wait for ever.

Ray's client tells nobody that its head is gone: what is asked of it waits, and after a minute
without the head's control service it ends the process. A thread of our own looks meanwhile.
"""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.cluster import preflight
from search.cluster.connection import Cluster
from search.cluster.local_head import LocalHead
from search.core.environment_seconds import read_seconds
from spkmodel.core.process_identity import process_start

log = logging.getLogger(__name__)

STALL = "SPKSEARCH_STALL_SECONDS"
"""The environment's: how long trials may wait to start while none runs and nothing holds them."""

STALL_SECONDS = 300.0
"""Unless the environment says otherwise: a worker imports torch in under a minute at load 15."""
SHARED_STALL_SECONDS = 900.0
"""The same on a cluster that was joined: its machines may fetch an image first."""

_POLL_SECONDS = 0.5
_ASK_SECONDS = 5.0
"""Between two questions to the head's control service."""
_SILENCE_SECONDS = 40.0
"""Without an answer of it; after 60 Ray's client ends this process."""

Check = Callable[[], str]
"""Says why the cluster is lost; an empty string while it is not."""


class ClusterWatch:
    """Runs checks on a thread of its own, and says once that the cluster is lost."""

    def __init__(
        self,
        checks: Sequence[Check] = (),
        *,
        shared: bool = False,
        head: LocalHead | None = None,
        stall_seconds: float = STALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch nothing yet.

        Args:
            checks: asked again and again.
            shared: whether others use the cluster: then its resources may be theirs for long.
            head: started by this process; None: by somebody else.
            stall_seconds: how long nothing may start.
            clock: seconds, of a clock that nobody sets.
        """
        self.shared = shared
        self.head = head
        self.stall_seconds = stall_seconds
        self.loss = ""
        """Why the cluster is lost."""
        self.signal = 0
        """The signal after which the search is leaving."""
        self._checks = checks
        self._clock = clock
        self._beat = clock()
        self._main = threading.main_thread().ident
        self._on_loss: Callable[[str], None] = lambda _: None
        self._problem = ""
        self._ended = threading.Event()
        self._telling = threading.Lock()

    def beat(self) -> None:
        """Take note that the driver's loop goes round."""
        self._beat = self._clock()

    def find_loss(self) -> str:
        """Say why the cluster is lost; empty if it is not.

        Workers die with their raylet, and Ray may tell of them, as of workers that were killed,
        before the thread has noticed. So this asks the processes of the head once more.
        """
        return self.loss or ("" if self.head is None else self.head.find_ended())

    def report(self, reason: str) -> None:
        """Take note that the cluster is lost; whoever is told first acts on it."""
        with self._telling:
            if self.loss or self._ended.is_set():
                return
            self.loss = reason
            log.info("the cluster is lost: %s", reason)
            self._on_loss(reason)

    @contextmanager
    def running(self, on_loss: Callable[[str], None]) -> Iterator[None]:
        """Watch while the context lasts; `on_loss` is called on whichever thread finds out."""
        self._on_loss = on_loss
        self.beat()
        thread = threading.Thread(target=self._run, name="cluster-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(timeout=2 * _ASK_SECONDS)

    def poll(self) -> None:
        """Ask every check once."""
        for check in self._checks:
            try:
                reason = check()
            except Exception as error:  # noqa: BLE001  # a check that fails says nothing
                if str(error) != self._problem:  # once, not every half second
                    log.warning("the cluster cannot be watched: %s", error)
                self._problem = str(error)
                continue
            if reason:
                self.report(reason)
                return
        if self._clock() - self._beat > self.stall_seconds and self._is_blocked_in_ray():
            self.report(f"Ray has not answered for {self.stall_seconds:.0f} s")

    def _run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS) and not self.loss:
            self.poll()

    def _is_blocked_in_ray(self) -> bool:
        """Return whether the main thread waits for Ray, and not for a storage of ours."""
        frame = sys._current_frames().get(self._main or 0)
        return frame is not None and "/ray/" in frame.f_code.co_filename


def watch_cluster(cluster: Cluster) -> ClusterWatch:
    """Return a watch for the cluster to which this process is connected.

    Raises:
        UsageError: the environment holds no number of seconds.
    """
    import ray

    default = STALL_SECONDS if cluster.local else SHARED_STALL_SECONDS
    seconds = read_seconds(STALL, default, least=10)
    service = ControlService(str(ray.get_runtime_context().gcs_address)).find_silence
    head = LocalHead.from_ray() if cluster.local else None
    processes = _own_raylet() if head is None else head.find_ended
    return ClusterWatch([processes, service], shared=head is None, head=head, stall_seconds=seconds)


class ControlService:
    """The head's control service (GCS), asked now and then whether it is there."""

    def __init__(
        self,
        address: str,
        ask: Callable[[str], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._ask = ask or _is_alive
        self._clock = clock
        self._asked = self._answered = clock()

    def find_silence(self) -> str:
        """Say for how long it has not answered, if that is too long."""
        now = self._clock()
        if now - self._asked < _ASK_SECONDS:
            return ""
        if now - self._asked > _SILENCE_SECONDS:
            self._answered = now  # this process was suspended: nobody was asked meanwhile
        self._asked = now
        if self._ask(self._address):
            self._answered = self._clock()
        silence = self._clock() - self._answered
        if silence < _SILENCE_SECONDS:
            return ""
        return f"the Ray head at {self._address} has not answered for {silence:.0f} s"


def _is_alive(address: str) -> bool:
    """Return whether a head's control service answers within some seconds."""
    import grpc
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    with preflight.open_channel(address) as channel:
        stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        try:
            # Without the token: a refusal is an answer.
            stub.CheckAlive(gcs_service_pb2.CheckAliveRequest(), timeout=preflight.ANSWER_SECONDS)
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNAUTHENTICATED)
    return True


def _own_raylet() -> Check:
    """Return a check of this machine's raylet, through which this process reaches the cluster."""
    from ray._private import worker

    name = str(worker._global_node.raylet_socket_name).encode()
    raylet = _find_process(b"raylet/raylet", name)
    if raylet is None:
        return lambda: ""  # of another process namespace, or a host without /proc
    started = process_start(raylet)

    def check() -> str:
        if process_start(raylet) == started:
            return ""
        return f"this machine's Ray (raylet, process {raylet}) has ended"

    return check


def _find_process(*words: bytes) -> int | None:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if all(word in line for word in words):
                return int(path.parent.name)
    return None
