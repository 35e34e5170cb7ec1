"""Inject faults into MLflow: its server is killed, slow or failing, its database is stopped."""

import time

import numpy as np

from bench.chaos import services
from bench.chaos.experiment import Experiment
from bench.chaos.faults.fault import FaultContext, InjectFault
from bench.chaos.slowdown import AWAY


def kill_server(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Kill the MLflow server by SIGKILL, and start it again after the outage."""
    del rng
    context.server.kill()
    _outage(experiment, context.outage_seconds)
    context.server.revive()
    context.server.wait_ready()


def set_behaviour(to: services.ProxyBehaviour) -> InjectFault:
    """Return a fault in which the proxy behaves so for the length of the outage."""

    def inject(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
        del rng
        context.proxy.set_behaviour = to
        before = context.proxy.calls
        _outage(experiment, context.outage_seconds)
        context.proxy.set_behaviour = "fine"
        experiment.notes["calls_met"] = context.proxy.calls - before

    return inject


def restart_database(
    experiment: Experiment, context: FaultContext, rng: np.random.Generator
) -> None:
    """Stop the PostgreSQL behind MLflow as a crash would, and start it again after the outage."""
    del rng
    assert context.postgres is not None
    context.postgres.stop()
    _outage(experiment, context.outage_seconds)
    context.postgres.start()


def _outage(experiment: Experiment, seconds: float) -> None:
    before, began = experiment.count("report"), time.monotonic()
    time.sleep(seconds)
    experiment.phases[AWAY] = (began, time.monotonic())
    experiment.notes["outage_seconds"] = seconds
    experiment.notes["epochs_meanwhile"] = experiment.count("report") - before
    # Of these nothing has to be resumed: the next epoch comes as if nothing were.
    experiment.resumed_at = 0.0
