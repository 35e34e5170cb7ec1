"""What killed an attempt, told from the words of the error that it left.

The words are those of Python, of torch and of Ray 2.60, as they were seen; Ray's own list of common
causes of a worker's death names the kernel's OOM killer whatever happened, and proves nothing.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from search.checkpoints import storage_health
from search.ledger.trial import InterruptReason

_PREEMPTED = ("node was preempted", "Actor died by preemption", "Node was forcibly preempted")
_LOST_NODE = (
    "its node has died",
    "the actor's node was terminated",
    "NodeDiedError",
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

_SILENT = "the worker died"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why an attempt was cut short."""

    kind: InterruptReason
    reason: str


def of(words: str, folder: Path, oom_killer_was_at_work: bool = False) -> Diagnosis:
    """What the words of an error mean.

    Args:
        words: the error as text, its traceback included.
        folder: the search's. A storage in the way there is no fault of the trial; a full or
            failing disk elsewhere, a machine's own or a corpus's, is a crash.
        oom_killer_was_at_work: whether the kernel of its host ended a process for want of memory
            while the attempt ran; then a worker that was killed was most likely that one.
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
        if oom_killer_was_at_work:
            return Diagnosis("out_of_memory", "its process was killed by the kernel's OOM killer")
        return Diagnosis("crash", "its process was killed, or died of a fault of its own")
    return Diagnosis("crash", _last_words(words))


def _last_words(words: str, sign: re.Pattern[str] | None = None) -> str:
    """The last line that names an exception, or else the last; of those with `sign`, if any."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    lines = [line for line in lines if not set(line) <= set("^~ ")]
    if sign is not None:
        lines = [line for line in lines if sign.search(line)]
    named = [line for line in lines if ": " in line and not line.startswith("File ")]
    return (named or lines or [_SILENT])[-1][:500]
