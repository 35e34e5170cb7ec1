"""The faults by their names: each strikes a running search once."""

import signal

import numpy as np

from bench.chaos import mlflow_blows, process_blows, services, steering_blows, storage_blows, toy
from bench.chaos.bout import Bout, Size
from bench.chaos.fault import Blow, Fault, Surroundings
from search.ledger.state import SearchState


def no_blow(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """The fault is in what is trained."""
    del around, chance
    bout.resumed_at = 0.0


def mixed(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """Two or three faults one after the other, in an order that chance decides."""
    blows: dict[str, Blow] = {
        "driver_kill": process_blows.kill_driver,
        "trial_kill": process_blows.kill_trial,
        "mlflow_500": mlflow_blows.mood("failing"),
        "torn_line": storage_blows.tear_line,
    }
    names = [str(name) for name in chance.choice(list(blows), size=int(chance.integers(2, 4)))]
    bout.notes["blows"] = names
    for name in names:
        bout.strike()
        blows[name](bout, around, chance)
        if not bout.wait_for_events(bout.count() + int(chance.integers(3, 12))):
            return


_LONG = Size(trials=40, max_epochs=9, epoch_seconds=0.3)
_SLOW = Size(trials=5, max_epochs=3, epoch_seconds=3.0)
"""Epochs that a signal meets in their middle."""

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("driver_kill", "SIGKILL of the driver at a random moment", process_blows.kill_driver),
        Fault(
            "driver_kill_real",
            "the same, with a network in the place of the toy",
            process_blows.kill_driver,
            size=Size(trials=6, max_epochs=3),
            real=True,
        ),
        Fault("trial_kill", "SIGKILL of a trial's process", process_blows.kill_trial),
        Fault("trial_hang", "SIGSTOP of a trial's process", process_blows.hang_trial),
        Fault(
            "sigterm", "SIGTERM to the driver", process_blows.signal_driver(signal.SIGTERM), _SLOW
        ),
        Fault("sigint", "Ctrl-C", process_blows.signal_driver(signal.SIGINT), _SLOW),
        Fault("two_launches", "two launches of one name", process_blows.launch_twice),
        Fault(
            "clock", "wall clock moved by an hour", process_blows.move_clock, size=Size(hours=0.9)
        ),
        Fault(
            "mlflow_down", "MLflow server killed", mlflow_blows.kill_server, size=_LONG, timed=True
        ),
        Fault(
            "mlflow_slow",
            f"MLflow slow ({services.SLOW_SECONDS:g} s a call)",
            mlflow_blows.mood("slow"),
            size=_LONG,
            timed=True,
            through="proxy",
        ),
        Fault(
            "mlflow_500",
            "MLflow answers 500",
            mlflow_blows.mood("failing"),
            size=_LONG,
            timed=True,
            through="proxy",
        ),
        Fault(
            "database_restart",
            "MLflow's PostgreSQL ended and started again",
            mlflow_blows.restart_database,
            size=_LONG,
            timed=True,
            through="postgres",
            wants=(services.why_no_postgres,),
        ),
        Fault("flipped_byte", "a flipped byte in the newest checkpoint", storage_blows.flip_byte),
        Fault("torn_line", "a torn last ledger line", storage_blows.tear_line),
        Fault(
            "disk_full",
            "storage full for a while",
            storage_blows.fill_disk,
            wants=(services.why_no_small_disk,),
            small_disk_mb=32,
        ),
        Fault(
            "disk_read_only",
            "storage read-only at a launch",
            storage_blows.lock_disk,
            wants=(services.why_no_small_disk,),
            small_disk_mb=32,
        ),
        Fault(
            "failures", "NaN loss, out of memory, collapse", no_blow, Size(trials=12), troubled=True
        ),
        Fault(
            "steered",
            "paused, extended, added to, a trial stopped; the driver killed between",
            steering_blows.steer,
            size=Size(trials=10, epoch_seconds=0.3),
        ),
        Fault("mixed", "two or three of them in one search", mixed, through="proxy"),
    )
}


def expectations(bout: Bout, fault: Fault) -> list[str]:
    """What must be so after some faults, beside the invariants."""
    state = SearchState.from_events(bout.events())
    wrong = []
    if fault.troubled:
        wrong += _named(state)
    flipped = bout.notes.get("flipped")
    damaged = {each["checkpoint"] for each in bout.events() if each["event"] == "damaged"}
    if flipped and flipped not in damaged:
        wrong.append(f"the ledger does not say that {flipped} was damaged")
    return wrong


def _named(state: SearchState) -> list[str]:
    kinds = {
        toy.DIVERGES: "diverged",
        toy.COLLAPSES: "collapsed",
        toy.TOO_LARGE: "out_of_memory",
    }
    wrong = []
    for trial in state.trials.values():
        kind = kinds.get(trial.axes["channels"], "")
        if trial.failure != kind:
            wrong.append(f"{trial.trial} failed as {trial.failure!r}, it was {kind!r}")
    return wrong
