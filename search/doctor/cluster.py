"""Check every machine of a cluster: what works, what does not, and what to do about it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from search.cluster import nodes
from search.cluster.connection import connect, prepare_environment
from search.cluster.preflight import inspect_auth, prepare_to_join
from search.core.errors import EnvironmentSetupError
from search.core.paths import home
from search.core.redact import strip_credentials
from search.doctor.check import Check, Level
from search.doctor.local import check_guard

_GIB = 2**30
_CLOCK_NOTE_SECONDS = 1.0
_CLOCK_PROBLEM_SECONDS = 60.0
_SHARE = "set SPKSEARCH_HOME to a folder that all machines share at the same path"
_INSTALL = "install the same everywhere: pip install -c constraints.txt and the same spksearch"


@dataclass(frozen=True)
class MachineCheck:
    """A check, and the machine that it is of."""

    machine: str
    check: Check


def examine(address: str, *, insecure: bool, seconds: float) -> Iterator[MachineCheck]:
    """Yield all checks: first how the cluster is guarded, then every machine in turn.

    Args:
        address: of the head, or `auto`.
        insecure: whether to go on although the cluster is open and others can reach it.
        seconds: how long machines may take to answer.
    """
    prepare_environment()
    try:
        auth = inspect_auth(address)
        guard = check_guard(auth)
        yield MachineCheck(auth.address, guard)
        if guard.level == "problem" and not insecure:
            return  # nothing of ours is sent to a cluster that others can read along
        prepare_to_join(address, insecure=insecure)
        with connect(address, insecure=insecure):
            there = nodes.list_nodes()
            survey = nodes.survey_nodes(
                there,
                home(),
                stores=_list_stores(home()),
                tracking=_find_tracking_address(),
                devices=True,
                seconds=seconds,
            )
    except (EnvironmentSetupError, OSError) as problem:
        yield MachineCheck(address, Check("joining", "problem", str(problem)))
        return
    for machine in survey.machines:
        for each in _check_machine(survey, machine, len(there)):
            yield MachineCheck(machine.node.name, each)


def _check_machine(
    survey: nodes.ClusterSurvey, machine: nodes.NodeReport, machines: int
) -> list[Check]:
    facts = machine.facts
    if facts is None:
        todo = "see whether it is up, and the log of its raylet in /tmp/ray/session_latest/logs"
        return [Check("answer", "problem", machine.silence, todo)]
    checks = [
        _check_versions(survey, machine),
        _check_storage(survey, machine, machines),
        _check_disk(facts),
    ]
    checks.append(_check_cache(facts))
    checks += [
        _check_store(path, facts["stores"], survey.here["stores"]) for path in facts["stores"]
    ]
    checks += [_check_gpus(machine), _check_clock(machine)]
    if tracking := _find_tracking_address():
        checks.append(_check_tracking(tracking, facts["tracking"]))
    return checks


def _check_versions(survey: nodes.ClusterSurvey, machine: nodes.NodeReport) -> Check:
    if different := nodes.describe_differences(survey, machine):
        return Check("versions", "problem", different, _INSTALL)
    versions = survey.here["versions"]
    told = ", ".join(f"{name} {versions[name]}" for name in ("python", "ray", "torch"))
    return Check("versions", "ok", f"{told}, and the same code")


def _check_storage(survey: nodes.ClusterSurvey, machine: nodes.NodeReport, machines: int) -> Check:
    if problem := nodes.describe_storage_problem(machine):
        return Check("storage", "problem", f"{survey.home}: {problem}", _SHARE)
    seen = "is shared with the driver" if machines > 1 else "is on this machine alone"
    return Check("storage", "ok", f"{survey.home} {seen}: read, written, renamed, listed")


def _check_disk(facts: dict[str, object]) -> Check:
    free = facts["free_bytes"]
    if not isinstance(free, int):
        return Check("disk", "problem", "the disk of SPKSEARCH_HOME cannot be seen", _SHARE)
    text = f"{free / _GIB:.1f} GiB free at SPKSEARCH_HOME"
    todo = "" if free >= 5 * _GIB else "free some space, or set SPKSEARCH_HOME to a larger disk"
    level: Level = "ok" if free >= 5 * _GIB else "note" if free >= _GIB else "problem"
    return Check("disk", level, text, todo)


def _check_cache(facts: dict[str, object]) -> Check:
    """Check the room for copies of corpora at URIs; a note at most, since few have one."""
    free = facts["cache_free_bytes"]
    assert isinstance(free, int)
    text = f"{free / _GIB:.1f} GiB free at {facts['cache']}, for corpora at URIs"
    if free >= 5 * _GIB:
        return Check("cache", "ok", text)
    return Check("cache", "note", text, "name a folder with more room there: SPKSEARCH_CACHE")


def _check_store(path: str, there: dict[str, str], here: dict[str, str]) -> Check:
    name = f"corpus {Path(path).name}"
    if there[path] == here[path]:
        return Check(name, "ok", "the same as here: lists whole, samples at 64 places")
    reason = there[path] if " " in there[path] else "it is another one than here"
    return Check(name, "problem", reason, _SHARE)


def _check_gpus(machine: nodes.NodeReport) -> Check:
    assert machine.facts is not None
    names, for_trials = machine.facts["gpus"], machine.node.gpus
    told = f"{for_trials:g} for trials" + (f": {'; '.join(names)}" if names else "")
    # More than there are: trials would be placed on GPUs that do not exist.
    if for_trials > len(names):
        todo = "nvidia-smi knows fewer than Ray: see whether the NVIDIA driver works there"
        return Check("GPUs", "note", f"{told}; nvidia-smi lists {len(names)}", todo)
    if for_trials < len(names):
        todo = "start the machine with --num-gpus, or leave them to others"
        return Check("GPUs", "note", f"{told}; {len(names)} are there", todo)
    return Check("GPUs", "ok", told if names else "none")


def _check_clock(machine: nodes.NodeReport) -> Check:
    ahead, error = machine.clock_ahead_seconds, machine.clock_error_seconds
    # A difference within the error of the measurement is none.
    off = max(0.0, abs(ahead) - error)
    side = "ahead of" if ahead >= 0 else "behind"
    text = f"{abs(ahead):.2f} s {side} here, give or take {error:.2f}"
    if off < _CLOCK_NOTE_SECONDS:
        return Check("clock", "ok", text)
    level: Level = "note" if off < _CLOCK_PROBLEM_SECONDS else "problem"
    return Check("clock", level, text, "let chrony or ntpd set it: logs and TLS go by it")


def _check_tracking(server: str, reason: str) -> Check:
    if not reason:
        return Check("MLflow", "ok", f"{server} answers from there")
    # Only the driver talks to it: a trial never does.
    return Check("MLflow", "note", f"{server}, from there: {reason}", "trials do not need it")


def _find_tracking_address() -> str:
    """Return the tracking server's address without credentials; empty if none is configured."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return strip_credentials(uri) if urlsplit(uri).scheme in ("http", "https") else ""


def _list_stores(folder: Path) -> list[str]:
    return sorted(str(path.parent) for path in (folder / "corpora").glob("*/corpus.json"))
