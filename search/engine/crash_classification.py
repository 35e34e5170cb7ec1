"""Find out why an attempt died, from the text of its error.

The words are those of Python, of torch and of Ray 2.60, as they were seen; Ray's own list of common
causes of a worker's death names the kernel's OOM killer whatever happened, and proves nothing.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search.checkpoints import storage_health
from search.ledger.kinds import InterruptReason

_PREEMPTED = ("node was preempted", "Actor died by preemption", "Node was forcibly preempted")
_LOST_NODE = (
    "its node has died",
    "the actor's node was terminated",
    "NodeDiedError",
    # The driver's node, which ends all that it has started.
    "Owner's node has crashed",
    "because its owner has died",
    "the node it was running on is dead or unavailable",
    "temporarily unavailable",
    "is unavailable: ",
)
_OUT_OF_MEMORY = re.compile(
    r"^\s*([\w.]+\.)?(OutOfMemoryError|_?(Array)?MemoryError)(:|\s*$)"
    r"|CUDA out of memory|CUDA error: out of memory|CU(BLAS|DNN)_STATUS_ALLOC_FAILED"
    r"|killed due to the node running low on memory"
    r"|DefaultCPUAllocator: can't allocate memory|\[Errno 12\] Cannot allocate memory",
    re.MULTILINE,
)
_KILLED = "connection error code 2"
"""What Ray says of a worker that was gone from one moment to the next."""
_KERNELS = "spksearch doctor checks whether this processor's kernels can be trusted"
_PID = re.compile(r"^\s*pid: (\d+)$", re.MULTILINE)
_FATAL_SIGNAL = re.compile(r"^\*\*\* (SIG(?:SEGV|ABRT|BUS|ILL|FPE)) received at ", re.MULTILINE)
"""What a worker writes into its log before it dies of a fault; SIGKILL leaves nothing."""

_SILENT = "the worker died"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why an attempt was cut short."""

    kind: InterruptReason
    reason: str


def classify(
    words: str, folder: Path, oom_killer_was_at_work: bool = False, logs: Path | None = None
) -> Diagnosis:
    """Return why an attempt died, judged by the text of its error.

    Args:
        words: the error as text, its traceback included.
        folder: the search's. A storage in the way there is no fault of the trial; a full or
            failing disk elsewhere, a machine's own or a corpus's, is a crash.
        oom_killer_was_at_work: whether the kernel of its host ended a process for want of memory
            while the attempt ran; then a worker that was killed was most likely that one.
        logs: where the workers of this machine write; by default where those of this Ray do.
    """
    if any(sign in words for sign in _PREEMPTED):
        return Diagnosis("preempted", "its node was preempted")
    if _OUT_OF_MEMORY.search(words):
        return Diagnosis("out_of_memory", _last_words(words, _OUT_OF_MEMORY))
    if any(sign in words for sign in _LOST_NODE):
        return Diagnosis("lost_node", "its node died or cannot be reached")
    lines = [line for line in words.splitlines() if f"{folder}/" in line]
    storage = "\n".join(line for line in lines if storage_health.error_number(line))
    if storage:
        return Diagnosis("storage", _last_words(storage))
    if _KILLED in words:
        if name := fatal_signal(words, ray_logs() if logs is None else logs):
            return Diagnosis("crash", f"its process died of {name}; {_KERNELS}")
        if oom_killer_was_at_work:
            return Diagnosis("out_of_memory", "its process was killed by the kernel's OOM killer")
        return Diagnosis("crash", "its process was killed, or died of a fault of its own")
    return Diagnosis("crash", _last_words(words))


def fatal_signal(words: str, logs: Path | None) -> str | None:
    """Return the name of the signal that ended a worker, according to its log.

    Ray's error names no signal, only the process. The log of a worker on another machine cannot be
    read from here: then None is returned, as for a worker that was killed.
    """
    pid = _PID.search(words)
    if pid is None or logs is None:
        return None
    found = [_FATAL_SIGNAL.search(text) for text in _read_logs(logs, pid[1])]
    return next((match[1] for match in found if match), None)


def _read_logs(logs: Path, pid: str) -> Iterator[str]:
    for path in logs.glob(f"worker-*-{pid}.err"):
        with contextlib.suppress(OSError):
            yield path.read_text(encoding="utf-8", errors="replace")


def ray_logs() -> Path | None:
    """Return the folder of this machine's worker logs, if this process is connected to Ray."""
    # Ray has no public way to it; a process that never imported Ray is not made to.
    worker = sys.modules.get("ray._private.worker")
    node = worker and worker.global_worker.node
    return Path(node.get_logs_dir_path()) if node else None


def _last_words(words: str, sign: re.Pattern[str] | None = None) -> str:
    """Return the last line that names an exception, else the last; of lines with `sign`, if any."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    lines = [line for line in lines if not set(line) <= set("^~ ")]
    if sign is not None:
        lines = [line for line in lines if sign.search(line)]
    named = [line for line in lines if ": " in line and not line.startswith("File ")]
    return (named or lines or [_SILENT])[-1][:500]
