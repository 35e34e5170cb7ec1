"""Inject faults into the storage: a checkpoint, the ledger, the whole disk."""

import subprocess
import time

import numpy as np

from bench.chaos.experiment import PATIENCE_SECONDS, Experiment
from bench.chaos.faults.fault import FaultContext
from search.ledger.report import Report
from search.ledger.state import SearchState
from spkmodel.core import checkpoint


def flip_byte(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Flip a bit of the checkpoint that a trial is to resume from, while no driver runs."""
    del context
    assert experiment.process is not None
    end = time.monotonic() + PATIENCE_SECONDS
    while (
        not _recorded_and_live(experiment)
        and time.monotonic() < end
        and experiment.process.poll() is None
    ):
        time.sleep(0.02)
    experiment.kill()
    live = _recorded_and_live(experiment)
    if live:
        place = max(live, key=lambda report: report.time).checkpoint
        path = experiment.folder / place / checkpoint.TENSORS
        content = bytearray(path.read_bytes())
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        experiment.notes["flipped"] = place
    experiment.notes["struck"] = bool(live)
    experiment.relaunch()


def _recorded_and_live(experiment: Experiment) -> list[Report]:
    """Return the last reports of running trials, from which these resume if the driver dies."""
    state = SearchState.from_events(experiment.events())
    return [trial.last for trial in state.trials.values() if trial.live and trial.last]


def tear_line(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Kill the driver, and leave half a line at the end of the ledger."""
    del context
    experiment.kill()
    content = experiment.ledger_bytes()
    lines = content.splitlines(keepends=True)
    if lines:
        line = lines[int(rng.integers(len(lines)))]
        torn = line[: int(rng.integers(1, len(line)))]
        with experiment.ledger_path.open("ab") as ledger:
            ledger.write(torn)
    experiment.relaunch()


def fill_disk(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Fill the disk to the last byte for the length of the outage."""
    del rng
    filler = experiment.home / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass
    time.sleep(context.outage_seconds)
    experiment.notes["outage_seconds"] = context.outage_seconds
    assert experiment.process is not None
    experiment.notes["went_on_by_itself"] = experiment.process.poll() is None
    experiment.resumed_at = time.time()
    filler.unlink()
    if experiment.process.poll() is not None:
        experiment.relaunch()


def lock_disk(experiment: Experiment, context: FaultContext, rng: np.random.Generator) -> None:
    """Launch again on read-only storage, which must be refused, and then on writable storage."""
    del context, rng
    experiment.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(experiment.home)], check=True)
    second = subprocess.run(
        experiment.command(),
        env=experiment.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if second.returncode != 3:
        experiment.problem(f"on read-only storage a launch ended with {second.returncode}, not 3")
    if "ead-only" not in second.stderr:
        experiment.problem(f"the message does not say what is wrong: {second.stderr[-300:]}")
    subprocess.run(["mount", "-o", "remount,rw", str(experiment.home)], check=True)
    experiment.relaunch()
