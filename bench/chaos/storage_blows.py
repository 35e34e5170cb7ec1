"""Blows at the storage: a checkpoint, the ledger, the whole disk."""

import subprocess
import time

import numpy as np

from bench.chaos.bout import PATIENCE_SECONDS, Bout
from bench.chaos.fault import Surroundings
from search.ledger.state import SearchState
from search.ledger.trial import Report
from spkmodel.core import checkpoint


def flip_byte(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """While no driver runs, a byte of the checkpoint changes that a trial is to go on from."""
    del around
    assert bout.process is not None
    end = time.monotonic() + PATIENCE_SECONDS
    while not _recorded_and_live(bout) and time.monotonic() < end and bout.process.poll() is None:
        time.sleep(0.02)
    bout.kill()
    live = _recorded_and_live(bout)
    if live:
        place = max(live, key=lambda report: report.time).checkpoint
        path = bout.folder / place / checkpoint.TENSORS
        content = bytearray(path.read_bytes())
        content[int(chance.integers(len(content)))] ^= 1 << int(chance.integers(8))
        path.write_bytes(content)
        bout.notes["flipped"] = place
    bout.notes["struck"] = bool(live)
    bout.relaunch()


def _recorded_and_live(bout: Bout) -> list[Report]:
    """The last epochs of trials that are under way: what these go on from if the driver dies."""
    state = SearchState.from_events(bout.events())
    return [trial.last for trial in state.trials.values() if trial.live and trial.last]


def tear_line(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """The driver dies in the middle of a line of the ledger."""
    del around
    bout.kill()
    content = bout.ledger_bytes()
    lines = content.splitlines(keepends=True)
    if lines:
        line = lines[int(chance.integers(len(lines)))]
        torn = line[: int(chance.integers(1, len(line)))]
        with bout.ledger_path.open("ab") as ledger:
            ledger.write(torn)
    bout.relaunch()


def fill_disk(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """Not a byte is free for a while; then there is room again."""
    del chance
    filler = bout.home / "filler"
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
    time.sleep(around.outage_seconds)
    bout.notes["outage_seconds"] = around.outage_seconds
    assert bout.process is not None
    bout.notes["went_on_by_itself"] = bout.process.poll() is None
    bout.resumed_at = time.time()
    filler.unlink()
    if bout.process.poll() is not None:
        bout.relaunch()


def lock_disk(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """The storage is read-only when the search is launched again; then it can be written."""
    del around, chance
    bout.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(bout.home)], check=True)
    second = subprocess.run(
        bout.command(), env=bout.environment(), capture_output=True, text=True, check=False
    )
    if second.returncode != 3:
        bout.problem(f"on read-only storage a launch ended with {second.returncode}, not 3")
    if "ead-only" not in second.stderr:
        bout.problem(f"the message does not say what is wrong: {second.stderr[-300:]}")
    subprocess.run(["mount", "-o", "remount,rw", str(bout.home)], check=True)
    bout.relaunch()
