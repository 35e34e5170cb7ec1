"""List the machines of the cluster that this process has joined, and check each of them."""

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
"""Packages whose versions must be the same on all machines, as must Python's."""

_CLOCK_TRIES = 3


@dataclass(frozen=True)
class NodeReport:
    """A machine, and what `node_probe` found out on it."""

    node: Node
    facts: dict[str, Any] | None
    """None: it gave no answer."""
    silence: str = ""
    """Why it gave no answer."""
    clock_ahead_seconds: float = 0.0
    """By how much its clock is ahead of the driver's."""
    clock_error_seconds: float = 0.0
    """How wrong that may be."""


@dataclass(frozen=True)
class ClusterSurvey:
    """The reports of all machines, and the same facts of the driver's machine."""

    home: Path
    here: dict[str, Any]
    machines: list[NodeReport]


def list_nodes() -> list[Node]:
    """Return the machines that are alive now, the head among them."""
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


def survey_nodes(
    nodes: Sequence[Node],
    home: Path,
    *,
    folders: Sequence[str] = (),
    stores: Sequence[str] = (),
    tracking: str = "",
    devices: bool = False,
    seconds: float = 60.0,
) -> ClusterSurvey:
    """Run `node_probe` on every machine and return its reports, those without an answer too.

    Args:
        nodes: which machines.
        home: the folder that they must share with this process.
        folders: other folders that trials read, at the same path everywhere.
        stores: packed corpora to compare with what lies here.
        tracking: address of the tracking server, without credentials.
        devices: whether to ask for GPUs.
        seconds: how long to wait for all of them.
    """
    import ray
    from ray import cloudpickle

    # The code travels with the task: a machine without spksearch has to answer too.
    cloudpickle.register_pickle_by_value(node_probe)
    deadline = time.monotonic() + seconds
    with _shared_folder(home) as (folder, word):
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
            node.node_id: _remote_on(node, node_probe.probe).remote(order | {"name": node.node_id})
            for node in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=seconds)
        machines = [_collect(node, asked[node.node_id], seconds) for node in nodes]
        machines = [_confirm_storage(report, folder, word) for report in machines]
    here = {
        "versions": node_probe.list_versions(list(PACKAGES)),
        "code": node_probe.hash_code(),
        "stores": {path: node_probe.hash_store(path) for path in stores},
    }
    return ClusterSurvey(home, here, [_measure_clock(report, deadline) for report in machines])


def check_nodes(
    nodes: Sequence[Node], home: Path, seconds: float = 60.0, folders: Sequence[str] = ()
) -> None:
    """Check that trials can run on machines, write where the driver reads, and read `folders`.

    Raises:
        EnvironmentSetupError: naming the machines that cannot, and why.
    """
    survey = survey_nodes(nodes, home, seconds=seconds, folders=folders)
    problems = []
    for report in survey.machines:
        problem = (
            report.silence
            or describe_storage_problem(report)
            or describe_differences(survey, report)
            or describe_missing_folders(report)
        )
        if problem:
            problems.append(f"  {report.node.name}: {problem}")
    if problems:
        raise EnvironmentSetupError(
            f"{len(problems)} of {len(nodes)} machines of the cluster cannot run trials of this "
            "search:\n" + "\n".join(problems) + f"\nSPKSEARCH_HOME ({home}) must be a folder that "
            "all machines share, at the same path, and what is installed must be the same, as must "
            "folders that are named (--noise, --rooms); "
            "`spksearch doctor --address ...` looks again"
        )


def describe_storage_problem(report: NodeReport) -> str:
    """Say why a machine does not share the driver's storage; empty if it does."""
    assert report.facts is not None
    reason = report.facts["storage"]
    return f"it does not share the storage of the driver ({reason})" if reason else ""


def describe_missing_folders(report: NodeReport) -> str:
    """Name the folders that trials read and a machine lacks; empty if it has all of them."""
    assert report.facts is not None
    named = " and ".join(f"no folder {folder}" for folder in report.facts["missing"])
    return f"it has {named}, which trials read" if named else ""


def describe_differences(survey: ClusterSurvey, report: NodeReport) -> str:
    """Say what is installed differently from the driver's machine; empty if nothing is."""
    assert report.facts is not None
    there, here = report.facts["versions"], survey.here["versions"]
    wrong = [
        f"{name} {there[name] or 'is missing'} (here {here[name] or 'none'})"
        for name in here
        if there[name] != here[name]
    ]
    # Checked only if versions agree: other versions have other code, which adds nothing.
    if not wrong and report.facts["code"] != survey.here["code"]:
        wrong = ["the code of spksearch is another one, though its version is the same"]
    return ", ".join(wrong)


# --- asking -------------------------------------------------------------------------------------


@contextmanager
def _shared_folder(home: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder for all machines to write into, and a word in it; removed afterwards."""
    folder, word = home / f".probe-{uuid.uuid4().hex}", uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        (folder / "driver").write_text(word, encoding="utf-8")
        yield folder, word
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remote_on(node: Node, function: Any) -> Any:
    """Return a function as a Ray task that runs on one machine, whatever trials occupy there."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # soft=False: on another machine than the one asked about the answer would be worthless.
    there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    return ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=there)


def _collect(node: Node, reference: Any, seconds: float) -> NodeReport:
    """Return the answer of a task that has ended, or why there is none."""
    import ray
    from ray.exceptions import GetTimeoutError, RayError

    try:
        return NodeReport(node, ray.get(reference, timeout=0.1))
    except GetTimeoutError:
        # A task that hangs in a dead mount would otherwise stay on the machine.
        ray.cancel(reference, force=True)
        return NodeReport(node, None, f"no answer in {seconds:.0f} s")
    except RayError as error:
        return NodeReport(node, None, f"the task failed: {str(error).strip().splitlines()[-1]}")


def _confirm_storage(report: NodeReport, folder: Path, word: str) -> NodeReport:
    """Return the report with a problem of the storage if the driver does not see its file."""
    if report.facts is None or report.facts["storage"]:
        return report
    try:
        came = (folder / report.node.node_id).read_text(encoding="utf-8") == word
    except OSError:
        came = False
    storage = "" if came else "what it wrote is not there for the driver"
    return NodeReport(report.node, report.facts | {"storage": storage})


def _measure_clock(report: NodeReport, deadline: float) -> NodeReport:
    """Return the report with the difference between the machine's clock and ours."""
    import ray
    from ray.exceptions import RayError

    if report.facts is None:
        return report
    # The reading lies between sending and answer: the fastest of some tries bounds it best.
    best = (float("inf"), 0.0)
    for _ in range(_CLOCK_TRIES):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sent = time.time()
        try:
            there = ray.get(_remote_on(report.node, node_probe.read_clock).remote(), timeout=left)
        except RayError:
            break
        came = time.time()
        best = min(best, ((came - sent) / 2, there - (came + sent) / 2))
    error, ahead = best
    return NodeReport(report.node, report.facts, "", ahead, error)
