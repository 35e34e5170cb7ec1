"""The machines of the cluster that this process has joined: which there are, what each is like."""

import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.cluster import node_probe
from search.cluster.slots import Node
from search.core.errors import EnvironmentSetupError

PACKAGES = ("spksearch", "ray", "torch", "torchaudio", "numpy")
"""What must be the same everywhere; Python too."""

_CLOCK_TRIES = 3


@dataclass(frozen=True)
class NodeReport:
    """A machine, and what it said of itself."""

    node: Node
    facts: dict[str, Any] | None
    """None: it gave no answer."""
    silence: str = ""
    """Why it gave none."""
    clock_ahead_seconds: float = 0.0
    """Of the driver's."""
    clock_error_seconds: float = 0.0
    """How wrong that may be."""


@dataclass(frozen=True)
class Survey:
    """All machines, and what is so on the driver's."""

    home: Path
    here: dict[str, Any]
    machines: list[NodeReport]


def alive() -> list[Node]:
    """The machines that are there now, the head with them."""
    import ray

    return [
        Node(
            name=node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            node_id=node["NodeID"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def survey(
    nodes: Sequence[Node],
    home: Path,
    *,
    folders: Sequence[str] = (),
    stores: Sequence[str] = (),
    tracking: str = "",
    devices: bool = False,
    seconds: float = 60.0,
) -> Survey:
    """Run a task on every machine and gather what it says; one that says nothing is told too.

    Args:
        nodes: which machines.
        home: where everything is written; they are to see it as this process does.
        folders: what trials read besides, at the same path everywhere.
        stores: packed corpora to compare with what lies here.
        tracking: address of the tracking server, without credentials.
        devices: whether to ask for GPUs.
        seconds: how long to wait for all of them.
    """
    import ray
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(node_probe)
    deadline = time.monotonic() + seconds
    with _meeting_place(home) as (folder, word):
        order = {
            "packages": list(PACKAGES),
            "folder": str(folder),
            "word": word,
            "folders": list(folders),
            "stores": list(stores),
            "tracking": tracking,
            "gpus": devices,
        }
        asked = {
            node.node_id: _pinned(node, node_probe.look).remote(order | {"name": node.node_id})
            for node in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=seconds)
        machines = [_heard(node, asked[node.node_id], seconds) for node in nodes]
        machines = [_seen_from_here(looked, folder, word) for looked in machines]
    here = {
        "versions": node_probe.versions(list(PACKAGES)),
        "code": node_probe.code_hash(),
        "stores": {path: node_probe.fingerprint(path) for path in stores},
    }
    return Survey(home, here, [_with_clock(looked, deadline) for looked in machines])


def check(
    nodes: Sequence[Node], home: Path, seconds: float = 60.0, folders: Sequence[str] = ()
) -> None:
    """Whether trials can run on these machines, write where the driver reads, and read `folders`.

    Raises:
        EnvironmentSetupError: naming the machines that cannot, and why.
    """
    found = survey(nodes, home, seconds=seconds, folders=folders)
    problems = []
    for looked in found.machines:
        problem = (
            looked.silence
            or storage_problem(looked)
            or differences(found, looked)
            or lacking(looked)
        )
        if problem:
            problems.append(f"  {looked.node.name}: {problem}")
    if problems:
        raise EnvironmentSetupError(
            f"{len(problems)} of {len(nodes)} machines of the cluster cannot run trials of this "
            "search:\n" + "\n".join(problems) + f"\nSPKSEARCH_HOME ({home}) must be a folder that "
            "all machines share, at the same path, and what is installed must be the same, as must "
            "folders that are named (--noise, --rooms); "
            "`spksearch doctor --address ...` looks again"
        )


def storage_problem(looked: NodeReport) -> str:
    """Why a machine does not share the driver's storage; empty if it does."""
    assert looked.facts is not None
    reason = looked.facts["storage"]
    return f"it does not share the storage of the driver ({reason})" if reason else ""


def lacking(looked: NodeReport) -> str:
    """Folders that trials read and that are not there; empty if all are."""
    assert looked.facts is not None
    named = " and ".join(f"no folder {folder}" for folder in looked.facts["missing"])
    return f"it has {named}, which trials read" if named else ""


def differences(found: Survey, looked: NodeReport) -> str:
    """What is installed otherwise than on the driver's machine; empty if nothing is."""
    assert looked.facts is not None
    there, here = looked.facts["versions"], found.here["versions"]
    wrong = [
        f"{name} {there[name] or 'is missing'} (here {here[name] or 'none'})"
        for name in here
        if there[name] != here[name]
    ]
    if not wrong and looked.facts["code"] != found.here["code"]:
        wrong = ["the code of spksearch is another one, though its version is the same"]
    return ", ".join(wrong)


# --- how -------------------------------------------------------------------------------------


@contextmanager
def _meeting_place(home: Path) -> Iterator[tuple[Path, str]]:
    """A folder for all machines to write into, gone afterwards."""
    folder, word = home / f".probe-{uuid.uuid4().hex}", uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        (folder / "driver").write_text(word, encoding="utf-8")
        yield folder, word
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pinned(node: Node, function: Any) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    return ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=there)


def _heard(node: Node, reference: Any, seconds: float) -> NodeReport:
    import ray
    from ray.exceptions import GetTimeoutError, RayError

    try:
        return NodeReport(node, ray.get(reference, timeout=0.1))
    except GetTimeoutError:
        ray.cancel(reference, force=True)
        return NodeReport(node, None, f"no answer in {seconds:.0f} s")
    except RayError as error:
        return NodeReport(node, None, f"the task failed: {str(error).strip().splitlines()[-1]}")


def _seen_from_here(looked: NodeReport, folder: Path, word: str) -> NodeReport:
    """Whether what a machine has written is there for the driver too."""
    if looked.facts is None or looked.facts["storage"]:
        return looked
    try:
        came = (folder / looked.node.node_id).read_text(encoding="utf-8") == word
    except OSError:
        came = False
    storage = "" if came else "what it wrote is not there for the driver"
    return NodeReport(looked.node, looked.facts | {"storage": storage})


def _with_clock(looked: NodeReport, deadline: float) -> NodeReport:
    """Its clock against ours: of some tries the one that took the shortest tells most."""
    import ray
    from ray.exceptions import RayError

    if looked.facts is None:
        return looked
    best = (float("inf"), 0.0)
    for _ in range(_CLOCK_TRIES):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sent = time.time()
        try:
            there = ray.get(_pinned(looked.node, node_probe.clock).remote(), timeout=left)
        except RayError:
            break
        came = time.time()
        best = min(best, ((came - sent) / 2, there - (came + sent) / 2))
    error, ahead = best
    return NodeReport(looked.node, looked.facts, "", ahead, error)
