"""Blows at MLflow: its server killed, slow, failing; its database ended."""

import time

import numpy as np

from bench.chaos import services
from bench.chaos.bout import Bout
from bench.chaos.fault import Blow, Surroundings
from bench.chaos.slowing import AWAY


def kill_server(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """SIGKILL of the MLflow server, which comes back after a while."""
    del chance
    around.server.kill()
    _outage(bout, around.outage_seconds)
    around.server.revive()
    around.server.wait_ready()


def mood(to: services.Mood) -> Blow:
    """Every call meets this mood for a while."""

    def blow(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
        del chance
        around.proxy.mood = to
        before = around.proxy.calls
        _outage(bout, around.outage_seconds)
        around.proxy.mood = "fine"
        bout.notes["calls_met"] = around.proxy.calls - before

    return blow


def restart_database(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """PostgreSQL behind MLflow ends at once, and is started again after a while."""
    del chance
    assert around.postgres is not None
    around.postgres.stop()
    _outage(bout, around.outage_seconds)
    around.postgres.start()


def _outage(bout: Bout, seconds: float) -> None:
    before, began = bout.count("report"), time.monotonic()
    time.sleep(seconds)
    bout.phases[AWAY] = (began, time.monotonic())
    bout.notes["outage_seconds"] = seconds
    bout.notes["epochs_meanwhile"] = bout.count("report") - before
    # Of these nothing has to be resumed: the next epoch comes as if nothing were.
    bout.resumed_at = 0.0
