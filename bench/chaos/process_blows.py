"""Blows at processes: the driver's, a trial's; and at the clock they go by."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from bench.chaos.bout import PATIENCE_SECONDS, Bout
from bench.chaos.fault import Blow, Surroundings
from search.ledger.state import SearchState

FLUSH_SECONDS = 3.0
"""After a signal all that is known must be in the ledger within this."""


def kill_driver(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """SIGKILL of the driver, and the same command again."""
    del around, chance
    bout.kill()
    bout.relaunch()


def kill_trial(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """SIGKILL of a process that trains."""
    del around
    workers = _workers(bout)
    bout.strike()
    if workers:
        os.kill(workers[int(chance.integers(len(workers)))], signal.SIGKILL)
    bout.notes["struck"] = bool(workers)


def hang_trial(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """SIGSTOP of a process that trains: it says nothing more, and is not dead."""
    del around
    workers = _workers(bout)
    bout.strike()
    if workers:
        os.kill(workers[int(chance.integers(len(workers)))], signal.SIGSTOP)
    bout.notes["struck"] = bool(workers)


def _workers(bout: Bout) -> list[int]:
    assert bout.process is not None
    end = time.monotonic() + PATIENCE_SECONDS
    while not (workers := bout.workers()) and time.monotonic() < end:
        if bout.process.poll() is not None:
            return []
        time.sleep(0.02)
    return workers


def signal_driver(number: signal.Signals) -> Blow:
    """A signal that asks it to end; then the same command again."""

    def blow(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
        del around, chance
        assert bout.process is not None
        live = _live(bout)
        began = time.monotonic()
        bout.process.send_signal(number)
        while _live(bout) and time.monotonic() - began < 30 and bout.process.poll() is None:
            time.sleep(0.02)
        bout.notes["flushed_seconds"] = round(time.monotonic() - began, 2) if live else 0.0
        if bout.notes["flushed_seconds"] > FLUSH_SECONDS:
            bout.problem(f"{number.name}: not all was written down within {FLUSH_SECONDS:g} s")
        code = bout.process.wait(60)
        bout.notes["exit_seconds"] = round(time.monotonic() - began, 2)
        if code != 128 + number:
            bout.problem(f"{number.name} ended the launch with {code}, not {128 + number}")
        bout.notes["parts"] = bout.count("partial")
        if "spksearch launch" not in bout.output:
            bout.problem(f"after {number.name} the resuming command was not printed")
        if _live(bout):
            bout.problem(f"after {number.name} trials are still written down as running")
        bout.relaunch()

    return blow


def _live(bout: Bout) -> bool:
    state = SearchState.from_events(bout.events())
    return any(trial.live for trial in state.trials.values())


def launch_twice(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """The same command from a second terminal, while the first is held still: it must not end."""
    del around, chance
    assert bout.process is not None
    began = time.monotonic()
    bout.process.send_signal(signal.SIGSTOP)
    over = bout.count("finish") > 0
    second = subprocess.run(
        bout.command(), env=bout.environment(), capture_output=True, text=True, check=False
    )
    bout.process.send_signal(signal.SIGCONT)
    bout.notes["refused_seconds"] = round(time.monotonic() - began, 2)
    bout.notes["struck"] = not over
    if not over and second.returncode != 3:
        bout.problem(f"the second launch ended with {second.returncode}, not 3")
    if not over and f"process {bout.process.pid}" not in second.stderr:
        bout.problem(f"the second launch does not say who drives: {second.stderr[-300:]}")


def move_clock(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """The driver's wall clock jumps by an hour, ahead or back."""
    del around
    jump = 3600 if chance.random() < 0.5 else -3600
    bout.notes["jump_seconds"] = jump
    Path(bout.extra["SPKSEARCH_TOY_CLOCK"]).write_text(str(jump))
