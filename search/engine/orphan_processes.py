"""End processes for certain: of attempts that hang, and of a driver that died.

Ray's own ways to end a process ask it, or its machine's raylet, to do so. Here the kernel is told,
once it is sure that the pid is still that process: here directly, on other hosts by a task there.
"""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from search.core.process_tree import list_ray_processes
from search.ledger.events import OrphanEvent
from spkmodel.core.process_identity import boot_id, process_start
from spkmodel.core.temporary import temporary_beside
from spkmodel.worker.processes import Worker, kernel_oom_kills, read_worker, read_workers

_GONE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class OrphanProcess:
    """A process that outlived the driver it worked for."""

    host: str
    pid: int
    started: str
    trial: str
    """Empty for Ray's own."""
    attempt: int
    node: str = ""
    """Ray's name of its machine; empty if that is not known."""
    fate: str = ""

    @property
    def is_on_this_host(self) -> bool:
        """Return whether it is, or was, a process of this host in this boot."""
        return self.host == socket.gethostname() and self.started.startswith(f"{boot_id()}-")

    def to_event(self) -> OrphanEvent:
        """Return the event that records it."""
        return OrphanEvent(
            host=self.host,
            pid=self.pid,
            started=self.started,
            trial=self.trial,
            attempt=self.attempt,
            fate=self.fate,
        )


def find_orphans(folder: Path) -> list[OrphanProcess]:
    """Return the processes recorded as at work for the search in `folder`, which has no driver."""
    found = [
        _orphan_from_worker(worker, trial.name)
        for trial in sorted((folder / "trials").glob("*"))
        for worker in read_workers(trial)
    ]
    for path in folder.glob("head-*.json"):
        if path != _path_for(folder):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found += [OrphanProcess(**each) for each in json.loads(path.read_text("utf-8"))]
            with contextlib.suppress(OSError):  # storage that refuses is told by the ledger
                path.unlink()
    # An actor that was reused is there once for each attempt: the last one counts.
    return list({(each.host, each.pid, each.started): each for each in found}.values())


def end_all(left: Iterable[OrphanProcess]) -> list[OrphanProcess]:
    """Kill those that still live, here and on other hosts; return the fate of each."""
    left = list(left)
    fates = [_end(each) for each in left if each.is_on_this_host]
    others = [each for each in left if not each.is_on_this_host]
    return [each for each in fates + _end_elsewhere(others) if each.fate != "gone"]


def end_worker(folder: Path, trial: str, attempt: int) -> None:
    """Kill the process that works on an attempt, on whichever host, stopped or not."""
    worker = read_worker(folder / "trials" / trial, attempt)
    if worker is not None:
        end_all([_orphan_from_worker(worker, trial)])


def ran_out_of_memory(folder: Path, trial: str, attempt: int) -> bool:
    """Return whether this host's kernel killed a process for want of memory since the start."""
    worker = read_worker(folder / "trials" / trial, attempt)
    if worker is None or worker.oom_kills is None:
        return False
    if not _orphan_from_worker(worker, trial).is_on_this_host:
        return False
    return (kernel_oom_kills() or 0) > worker.oom_kills


def record_head_processes(folder: Path) -> None:
    """Record the processes of the Ray head that this process has started."""
    mine = [
        OrphanProcess(socket.gethostname(), pid, started, "", 0)
        for pid in list_ray_processes()
        if (started := process_start(pid)) is not None
    ]
    beside = temporary_beside(_path_for(folder))
    with contextlib.suppress(OSError):  # storage that refuses is told by the ledger
        with beside.open("w", encoding="utf-8") as file:
            json.dump([asdict(each) for each in mine], file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(_path_for(folder))


def forget_head_processes(folder: Path) -> None:
    """Remove the record of this process's head, once all of its processes have ended."""
    path = _path_for(folder)
    with contextlib.suppress(OSError, ValueError, TypeError):
        recorded = [OrphanProcess(**each) for each in json.loads(path.read_text("utf-8"))]
        if all(process_start(each.pid) != each.started for each in recorded):
            path.unlink()


def kill(pid: int, started: str) -> str:
    """End a process of this host, stopped or not; return "killed", "gone", or why it lives on."""
    if process_start(pid) != started:
        return "gone"
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "gone"
    except OSError as error:
        return f"alive: {error.strerror}"
    end = time.monotonic() + _GONE_SECONDS
    while process_start(pid) == started:
        if time.monotonic() > end:
            return "alive: it does not die of SIGKILL"
        time.sleep(0.01)
    return "killed"


def _end(left: OrphanProcess) -> OrphanProcess:
    return replace(left, fate=kill(left.pid, left.started))


def _end_elsewhere(left: list[OrphanProcess]) -> list[OrphanProcess]:
    """Kill by tasks on the cluster's machines; machines that do not answer soon are left out."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not left:
        return []
    alive = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    by_host = {host: node for node, host in alive.items()}
    tasks = []
    for host in dict.fromkeys(each.host for each in left):
        there = [each for each in left if each.host == host]
        node = there[-1].node if there[-1].node in alive else by_host.get(host)
        if node is not None:
            pinned = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
            options = {"num_cpus": 0, "scheduling_strategy": pinned, "max_retries": 0}
            tasks.append(ray.remote(_end_each).options(**options).remote(there))
    ready, _ = ray.wait(tasks, num_returns=len(tasks), timeout=_GONE_SECONDS) if tasks else ([], 0)
    found: list[OrphanProcess] = []
    for task in ready:
        with contextlib.suppress(ray.exceptions.RayError):
            found += ray.get(task)
    return found


def _end_each(left: list[OrphanProcess]) -> list[OrphanProcess]:
    return [_end(each) for each in left]


def _orphan_from_worker(worker: Worker, trial: str) -> OrphanProcess:
    return OrphanProcess(
        worker.host, worker.pid, worker.started, trial, worker.attempt, node=worker.node
    )


def _path_for(folder: Path) -> Path:
    return folder / f"head-{os.getpid()}.json"
