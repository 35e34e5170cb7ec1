"""Inject faults into processes, the driver's and a trial's, and into the wall clock."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from bench.chaos.experiment import PATIENCE_SECONDS, Experiment
from bench.chaos.faults.fault import FaultContext, InjectFault
from search.ledger.state import SearchState

FLUSH_SECONDS = 3.0
"""How soon after a signal everything known must be in the ledger."""


def kill_driver(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Kill the driver by SIGKILL, and launch again."""
    del context, rng
    experiment.kill()
    experiment.relaunch()


def kill_packing(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Kill the driver, remove its packed corpus, and kill the next driver while it packs again."""
    del context, rng
    experiment.kill()
    corpora = experiment.home / "corpora"
    shutil.rmtree(corpora)
    experiment.relaunch()
    assert experiment.process is not None
    end = time.monotonic() + PATIENCE_SECONDS
    # The corpus is small: what is being packed is there for some milliseconds only.
    while not (packing := list(corpora.glob(".packing-*"))) and time.monotonic() < end:
        if experiment.process.poll() is not None or any(corpora.glob("[0-9a-f]*")):
            break
    experiment.notes["struck"] = bool(packing)
    experiment.kill()
    experiment.relaunch()


def kill_trial(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Kill a process that trains by SIGKILL."""
    del context
    workers = _workers(experiment)
    experiment.mark_injection()
    if workers:
        os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)
    experiment.notes["struck"] = bool(workers)


def hang_trial(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Stop a process that trains by SIGSTOP: it reports nothing more, and is not dead."""
    del context
    workers = _workers(experiment)
    experiment.mark_injection()
    if workers:
        os.kill(workers[int(rng.integers(len(workers)))], signal.SIGSTOP)
    experiment.notes["struck"] = bool(workers)


def _workers(experiment: Experiment) -> list[int]:
    assert experiment.process is not None
    end = time.monotonic() + PATIENCE_SECONDS
    while not (workers := experiment.workers()) and time.monotonic() < end:
        if experiment.process.poll() is not None:
            return []
        time.sleep(0.02)
    return workers


def signal_driver(number: signal.Signals) -> InjectFault:
    """Return a fault that asks the driver to end by a signal, and launches again."""

    def inject(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
        del context, rng
        assert experiment.process is not None
        live = _live(experiment)
        began = time.monotonic()
        experiment.process.send_signal(number)
        while (
            _live(experiment)
            and time.monotonic() - began < 30
            and experiment.process.poll() is None
        ):
            time.sleep(0.02)
        experiment.notes["flushed_seconds"] = round(time.monotonic() - began, 2) if live else 0.0
        if experiment.notes["flushed_seconds"] > FLUSH_SECONDS:
            experiment.problem(
                f"{number.name}: not all was written down within {FLUSH_SECONDS:g} s"
            )
        code = experiment.process.wait(60)
        experiment.notes["exit_seconds"] = round(time.monotonic() - began, 2)
        # A closed terminal counts as SIGTERM.
        expected = 128 + (signal.SIGTERM if number == signal.SIGHUP else number)
        if code != expected:
            experiment.problem(f"{number.name} ended the launch with {code}, not {expected}")
        experiment.notes["parts"] = experiment.count("partial")
        if "spksearch launch" not in experiment.output:
            experiment.problem(f"after {number.name} the resuming command was not printed")
        if _live(experiment):
            experiment.problem(f"after {number.name} trials are still written down as running")
        experiment.relaunch()

    return inject


def _live(experiment: Experiment) -> bool:
    state = SearchState.from_events(experiment.events())
    return any(trial.live for trial in state.trials.values())


def launch_twice(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Launch from a second terminal while the first driver is stopped; it must be refused."""
    del context, rng
    assert experiment.process is not None
    began = time.monotonic()
    experiment.process.send_signal(signal.SIGSTOP)
    over = experiment.count("finish") > 0
    second = subprocess.run(
        experiment.command(),
        env=experiment.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    experiment.process.send_signal(signal.SIGCONT)
    experiment.notes["refused_seconds"] = round(time.monotonic() - began, 2)
    experiment.notes["struck"] = not over
    if not over and second.returncode != 3:
        experiment.problem(f"the second launch ended with {second.returncode}, not 3")
    if not over and f"process {experiment.process.pid}" not in second.stderr:
        experiment.problem(f"the second launch does not say who drives: {second.stderr[-300:]}")


def move_clock(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Move the driver's wall clock by an hour, ahead or back."""
    del context
    jump = 3600 if rng.random() < 0.5 else -3600
    experiment.notes["jump_seconds"] = jump
    Path(experiment.extra["SPKSEARCH_TOY_CLOCK"]).write_text(str(jump))
