"""The words below are Ray 2.60's, Python's and torch's own, as real deaths left them, shortened."""

import os
import signal
from pathlib import Path

import pytest

from search.engine import crash_classification
from search.engine.crash_classification import Diagnosis

FOLDER = Path("/home/of/searches/first")
ACTOR = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: A\n\tpid: 7241\n"
    "\tip: 127.0.0.1\n"
)
KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some "
    "common causes include: (1) the process was killed by the OOM killer due to high memory usage, "
    "(2) ray stop --force was called, or (3) the worker crashed unexpectedly due to SIGSEGV or "
    "another unexpected error."
)
TRACEBACK = (
    "Failure # 1 (occurred at 2026-11-25_22-11-55)\nray::A.step() (pid=7241, ip=127.0.0.1)\n"
    '  File "toy.py", line 13, in step\n    def mem(self): raise MemoryError()\n'
    "                   ^^^^^^^^^^^^^^^^^^^\n"
)
CASES = {
    "python": (TRACEBACK + "MemoryError\n", "out_of_memory", "MemoryError"),
    "python, with words": (
        TRACEBACK + "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 PiB\n",
        "out_of_memory",
        "Unable to allocate",
    ),
    "torch on a processor": (
        TRACEBACK + "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. "
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4503599627370496 bytes. "
        "Error code 12 (Cannot allocate memory)\n",
        "out_of_memory",
        "DefaultCPUAllocator",
    ),
    "torch on a GPU": (
        TRACEBACK + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU "
        "0 has a total capacity of 79.11 GiB\nSee https://pytorch.org/docs: environment\n",
        "out_of_memory",
        "Tried to allocate 20.00 GiB",
    ),
    "the node's memory monitor": (
        "OutOfMemoryError: 1 worker(s) were killed due to the node running low on memory. Memory "
        "on the node (IP: 127.0.0.1) was 6.59GB used / 23.54GB limit (0.28)\nTop 10 memory users:",
        "out_of_memory",
        "6.59GB used",
    ),
    "the driver's own raylet": (
        ACTOR + "The actor is dead because its owner has died. Owner Id: 01000000ffff Owner Ip "
        "address: 127.0.0.1 Owner worker exit type: SYSTEM_ERROR Worker exit detail: Owner's node "
        "has crashed.",
        "lost_node",
        "its node died or cannot be reached",
    ),
    "a process killed": (ACTOR + KILLED, "crash", "its process was killed"),
    "an exit": (
        ACTOR + "The actor is dead because its worker process has died. Worker exit type: "
        "SYSTEM_ERROR Worker exit detail: Worker exits unexpectedly. Worker exits with an exit "
        "code 3.",
        "crash",
        "exit code 3",
    ),
    "an error of its own": (
        TRACEBACK + "ValueError: no such layer: OutOfMemoryError is not one\n",
        "crash",
        "no such layer",
    ),
    "a raylet killed": (
        "The actor 1a17 is unavailable: The actor is temporarily unavailable: RpcError: RPC error: "
        "Socket closed rpc_code: 14. The task may or may not have been executed on the actor.",
        "lost_node",
        "node",
    ),
    "a node that is dead": (
        ACTOR + "The actor died because its node has died. Node Id: 45f5.\n\tthe actor's node was "
        "terminated unexpectedly: health check failed due to missing too many heartbeats",
        "lost_node",
        "node",
    ),
    "a node taken away": (
        "the actor's node was preempted: The actor died unexpectedly before finishing this task.",
        "preempted",
        "preempted",
    ),
    "the search's storage is full": (
        TRACEBACK + f"OSError: [Errno 28] No space left on device: '{FOLDER}/trials/t0001/x'\n",
        "storage",
        "No space left on device",
    ),
    "another storage is full": (
        TRACEBACK + "OSError: [Errno 28] No space left on device: '/tmp/x'\n",
        "crash",
        "No space left on device: '/tmp/x'",
    ),
    "a storage that is not named": (
        TRACEBACK + "OSError: [Errno 5] Input/output error\n",
        "crash",
        "Input/output error",
    ),
    "a search with a longer name": (
        TRACEBACK + f"OSError: [Errno 5] Input/output error: '{FOLDER}-2/trials/t0001/x'\n",
        "crash",
        "Input/output error",
    ),
    "a file that is not there": (
        TRACEBACK + f"FileNotFoundError: [Errno 2] No such file or directory: '{FOLDER}/x'\n",
        "crash",
        "No such file",
    ),
    "nothing": ("", "crash", "the worker died"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_death_is_called_what_it_was(case):
    words, kind, shown = CASES[case]
    found = crash_classification.classify(words, FOLDER)
    assert found.kind == kind
    assert shown in found.reason
    assert len(found.reason) <= 500


def test_a_process_killed_while_the_oom_killer_was_at_work_ran_out_of_memory():
    diagnosis = crash_classification.classify(ACTOR + KILLED, FOLDER, oom_killer_was_at_work=True)
    assert diagnosis == Diagnosis(
        "out_of_memory", "its process was killed by the kernel's OOM killer"
    )
    words = TRACEBACK + "ValueError: x\n"
    assert crash_classification.classify(words, FOLDER, oom_killer_was_at_work=True).kind == "crash"


# What a worker that died of a signal had written into its log.
LOG = """:job_id:01000000
:actor_name:A
*** {name} received at time=1796098727 on cpu 0 ***
PC: @     0x7fec71c5a267  (unknown)  kill
[2026-12-01 04:18:47,126 E 21836 21836] logging.cc:474: *** {name} received at time=1796098727 ***
Fatal Python error: Segmentation fault
"""


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL"])
def test_a_process_that_died_of_a_signal_names_it_and_who_checks_the_processor(name, tmp_path):
    (tmp_path / "worker-5270-ffffffff-7241.err").write_text(LOG.format(name=name))
    diagnosis = crash_classification.classify(ACTOR + KILLED, FOLDER, logs=tmp_path)
    assert diagnosis == Diagnosis(
        "crash",
        f"its process died of {name}; spksearch doctor checks whether this processor's kernels "
        "can be trusted",
    )
    # Such a death is none of the OOM killer's, whoever else that one has killed.
    assert diagnosis == crash_classification.classify(ACTOR + KILLED, FOLDER, True, logs=tmp_path)


def test_a_process_that_was_killed_or_is_elsewhere_names_no_signal(tmp_path):
    (tmp_path / "worker-5270-ffffffff-7241.err").write_text(":job_id:01000000\n")
    (tmp_path / "worker-5271-ffffffff-17241.err").write_text(LOG.format(name="SIGSEGV"))
    diagnosis = crash_classification.classify(ACTOR + KILLED, FOLDER, logs=tmp_path)
    assert diagnosis.reason == "its process was killed, or died of a fault of its own"


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize(
    ("number", "signal_name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, None)]
)
def test_a_real_worker_that_dies_of_a_fault_leaves_its_signal_and_a_killed_one_none(
    number, signal_name
):
    import ray

    @ray.remote(num_cpus=0)
    class Actor:
        def die(self):
            os.kill(os.getpid(), number)

    with pytest.raises(ray.exceptions.ActorDiedError) as died:
        ray.get(Actor.remote().die.remote())
    assert (
        crash_classification.fatal_signal(str(died.value), crash_classification.ray_logs())
        == signal_name
    )
    assert ("SIGSEGV" in crash_classification.classify(str(died.value), FOLDER).reason) == bool(
        signal_name
    )
