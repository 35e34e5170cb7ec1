"""Kill processes of Ray's own under a search: its head's, its agents, all of its workers."""

import os
import signal
import time
from collections.abc import Callable

import numpy as np

from bench.chaos import processes
from bench.chaos.experiment import PATIENCE_SECONDS, Experiment, Size
from bench.chaos.faults.fault import Fault, FaultContext, InjectFault
from search.ledger.state import SearchState

NOTICED_SECONDS = 20.0
"""How soon the ledger must say that the cluster is lost: the ledger's disk may be slow."""

_SIGNS: dict[str, Callable[[str], bool]] = {
    "raylet": lambda command: "raylet/raylet " in command,
    "gcs_server": lambda command: "gcs/gcs_server" in command,
    "runtime_env_agent": lambda command: command.startswith("ray::RuntimeEnvAgent"),
    "dashboard_agent": lambda command: command.startswith("ray::DashboardAgent"),
    "workers": lambda command: (
        command.startswith("ray::") and not command.startswith(processes.AGENTS)
    ),
}
"""How the command lines of Ray's processes are told from each other."""

_HARMLESS = {"workers"}
"""After whose death the head goes on: their attempts are tried again."""


def kill(*kinds: str) -> InjectFault:
    """Return a fault that kills processes of these kinds at once."""

    def inject(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
        del context, rng
        _kill(experiment, kinds)

    return inject


def kill_two(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Kill processes of two kinds at once, or one kind and the MLflow server."""
    kinds = [*_SIGNS, "mlflow"]
    chosen = [str(kind) for kind in rng.choice(kinds, size=2, replace=False)]
    if "mlflow" in chosen:
        context.server.kill()
    _kill(experiment, [kind for kind in chosen if kind != "mlflow"])
    if "mlflow" in chosen:
        experiment.wait(context.outage_seconds)
        context.server.revive()
        context.server.wait_ready()
    experiment.notes["blows"] = chosen


def _kill(experiment: Experiment, kinds: "list[str] | tuple[str, ...]") -> None:
    victims = _find(experiment, kinds)
    losses = experiment.count("cluster_lost")
    experiment.mark_injection()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    experiment.notes["struck"] = bool(victims)
    if victims and not _HARMLESS.issuperset(kinds):
        _require_notice(experiment, losses)


def _find(experiment: Experiment, kinds: "list[str] | tuple[str, ...]") -> list[int]:
    """Return processes of all these kinds, once there are some of each; none after its end."""
    assert experiment.process is not None
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and experiment.process.poll() is None:
        there = {
            pid: processes.command(pid) for pid in processes.descendants(experiment.process.pid)
        }
        found = {kind: [pid for pid, line in there.items() if _SIGNS[kind](line)] for kind in kinds}
        if all(found.values()):
            return [pid for pids in found.values() for pid in pids]
        time.sleep(0.02)
    return []


def _require_notice(experiment: Experiment, losses: int) -> None:
    """Require that the ledger says soon that the cluster is lost, unless the search is over."""
    began = time.monotonic()
    while time.monotonic() - began < NOTICED_SECONDS:
        if experiment.count("cluster_lost") > losses:
            experiment.notes["noticed_seconds"] = round(time.monotonic() - began, 2)
            return
        if experiment.count("finish"):
            return
        time.sleep(0.05)
    experiment.problem(f"after {NOTICED_SECONDS:g} s the ledger does not say that Ray is lost")


def unmet_expectations(experiment: Experiment, fault: Fault) -> list[str]:
    """Return what is wrong after a fault of Ray's: nobody launched again, and nothing was counted.

    A worker's own death counts as a crash of its attempt, as it does without any other fault.
    """
    if fault.name not in BY_NAME:
        return []
    wrong = []
    if experiment.launches > 1:
        wrong.append("the search did not go on by itself")
    workers_died = "workers" in fault.name or "workers" in experiment.notes.get("blows", ())
    crashes = sum(t.crashes for t in SearchState.from_events(experiment.events()).trials.values())
    if crashes and not workers_died:
        wrong.append(f"{crashes} crashes are counted, and no trial has crashed")
    return wrong


_SIZE = Size(trials=16, max_epochs=9, epoch_seconds=0.3)
"""Long enough that a head which dies at a random moment does so while trials run."""

FAULTS = (
    Fault("raylet_kill", "SIGKILL of Ray's raylet", kill("raylet"), _SIZE),
    Fault("gcs_kill", "SIGKILL of Ray's control service (`gcs_server`)", kill("gcs_server"), _SIZE),
    Fault(
        "runtime_env_agent_kill",
        "SIGKILL of Ray's runtime-env agent",
        kill("runtime_env_agent"),
        _SIZE,
    ),
    Fault(
        "dashboard_agent_kill", "SIGKILL of Ray's dashboard agent", kill("dashboard_agent"), _SIZE
    ),
    Fault("all_workers_kill", "SIGKILL of all of Ray's workers at once", kill("workers"), _SIZE),
    Fault(
        "two_at_once",
        "two kinds of Ray's processes killed at once, or one and the MLflow server",
        kill_two,
        _SIZE,
    ),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
