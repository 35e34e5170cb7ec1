"""List the faults by name; each is injected into a running search once."""

import signal

import numpy as np

from bench.chaos import services
from bench.chaos.experiment import Experiment, Size
from bench.chaos.faults import (
    mlflow_faults,
    process_faults,
    ray_faults,
    request_faults,
    storage_faults,
)
from bench.chaos.faults.fault import Fault, FaultContext, InjectFault
from bench.chaos.toy import training
from search.ledger.events import DamagedEvent
from search.ledger.state import SearchState


def inject_nothing(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Inject nothing: the fault is in what is trained."""
    del context, rng
    experiment.resumed_at = 0.0


def mixed(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Inject two or three faults one after the other, in a random order."""
    faults: dict[str, InjectFault] = {
        "driver_kill": process_faults.kill_driver,
        "trial_kill": process_faults.kill_trial,
        "mlflow_500": mlflow_faults.set_behaviour("failing"),
        "torn_line": storage_faults.tear_line,
    }
    names = [str(name) for name in rng.choice(list(faults), size=int(rng.integers(2, 4)))]
    experiment.notes["blows"] = names
    for name in names:
        experiment.mark_injection()
        faults[name](experiment, context, rng)
        if not experiment.wait_for_events(experiment.count() + int(rng.integers(3, 12))):
            return


_LONG = Size(trials=40, max_epochs=9, epoch_seconds=0.3)
_SLOW = Size(trials=5, max_epochs=3, epoch_seconds=3.0)
"""Epochs that a signal meets in their middle."""

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "driver_kill", "SIGKILL of the driver at a random moment", process_faults.kill_driver
        ),
        Fault(
            "driver_kill_real",
            "the same, with a network in the place of the toy",
            process_faults.kill_driver,
            size=Size(trials=6, max_epochs=3),
            real=True,
        ),
        Fault("trial_kill", "SIGKILL of a trial's process", process_faults.kill_trial),
        Fault("trial_hang", "SIGSTOP of a trial's process", process_faults.hang_trial),
        Fault(
            "sigterm", "SIGTERM to the driver", process_faults.signal_driver(signal.SIGTERM), _SLOW
        ),
        Fault("sigint", "Ctrl-C", process_faults.signal_driver(signal.SIGINT), _SLOW),
        Fault(
            "sighup",
            "a closed terminal (SIGHUP)",
            process_faults.signal_driver(signal.SIGHUP),
            _SLOW,
        ),
        Fault("packing_kill", "SIGKILL of the driver while it packs", process_faults.kill_packing),
        Fault("two_launches", "two launches of one name", process_faults.launch_twice),
        Fault(
            "clock", "wall clock moved by an hour", process_faults.move_clock, size=Size(hours=0.9)
        ),
        Fault(
            "mlflow_down",
            "MLflow server killed",
            mlflow_faults.kill_server,
            size=_LONG,
            measures_slowdown=True,
        ),
        Fault(
            "mlflow_slow",
            f"MLflow slow ({services.SLOW_SECONDS:g} s a call)",
            mlflow_faults.set_behaviour("slow"),
            size=_LONG,
            measures_slowdown=True,
            mlflow_route="proxy",
        ),
        Fault(
            "mlflow_500",
            "MLflow answers 500",
            mlflow_faults.set_behaviour("failing"),
            size=_LONG,
            measures_slowdown=True,
            mlflow_route="proxy",
        ),
        Fault(
            "database_restart",
            "MLflow's PostgreSQL ended and started again",
            mlflow_faults.restart_database,
            size=_LONG,
            measures_slowdown=True,
            mlflow_route="postgres",
            requirements=(services.why_no_postgres,),
        ),
        Fault("flipped_byte", "a flipped byte in the newest checkpoint", storage_faults.flip_byte),
        Fault("torn_line", "a torn last ledger line", storage_faults.tear_line),
        Fault(
            "disk_full",
            "storage full for a while",
            storage_faults.fill_disk,
            requirements=(services.why_no_small_disk,),
            small_disk_mb=32,
        ),
        Fault(
            "disk_read_only",
            "storage read-only at a launch",
            storage_faults.lock_disk,
            requirements=(services.why_no_small_disk,),
            small_disk_mb=32,
        ),
        Fault(
            "failures",
            "NaN loss, out of memory, collapse",
            inject_nothing,
            Size(trials=12),
            has_failing_configs=True,
        ),
        Fault(
            "steered",
            "paused, extended, added to, a trial stopped; the driver killed between",
            request_faults.steer,
            size=Size(trials=10, epoch_seconds=0.3),
        ),
        *ray_faults.FAULTS,
        Fault("mixed", "two or three of them in one search", mixed, mlflow_route="proxy"),
    )
}


def unmet_expectations(experiment: Experiment, fault: Fault) -> list[str]:
    """Return what a fault promises beside the invariants, and is not so."""
    state = SearchState.from_events(experiment.events())
    wrong = ray_faults.unmet_expectations(experiment, fault)
    if fault.has_failing_configs:
        wrong += _named(state)
    flipped = experiment.notes.get("flipped")
    damaged = {each.checkpoint for each in experiment.events() if isinstance(each, DamagedEvent)}
    if flipped and flipped not in damaged:
        wrong.append(f"the ledger does not say that {flipped} was damaged")
    return wrong


def _named(state: SearchState) -> list[str]:
    kinds = {
        training.DIVERGES: "diverged",
        training.COLLAPSES: "collapsed",
        training.TOO_LARGE: "out_of_memory",
    }
    wrong = []
    for trial in state.trials.values():
        kind = kinds.get(trial.axes["channels"], "")
        if trial.failure != kind:
            wrong.append(f"{trial.trial} failed as {trial.failure!r}, it was {kind!r}")
    return wrong
