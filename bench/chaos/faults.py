"""The faults: each strikes a running search once, and says what it wants and what it expects."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.chaos import services, toy
from bench.chaos.bout import Bout, Size
from search.mlflow_server import Server
from search.state import SearchState
from search.trial_record import Report
from spkmodel import checkpoint

FLUSH_SECONDS = 3.0
"""After a signal all that is known must be in the ledger within this."""


@dataclass
class Surroundings:
    """What a bout runs among, shared by the rounds."""

    server: Server
    proxy: services.Proxy
    postgres: services.Postgres | None = None
    outage_seconds: float = 8.0

    def processes(self) -> set[int]:
        """Those of the servers, which a blow may have started anew."""
        return {self.server.pid} | ({self.postgres.pid} if self.postgres else set())


Blow = Callable[[Bout, Surroundings, np.random.Generator], None]


@dataclass(frozen=True)
class Fault:
    """A fault by its name."""

    name: str
    says: str
    """For the page."""
    blow: Blow
    size: Size = field(default_factory=Size)
    troubled: bool = False
    real: bool = False
    wants: tuple[Callable[[], str], ...] = ()
    """Each says why the fault cannot be had here, or nothing."""
    paired: bool = False
    """Whether a search without the fault is run beside it, to see what it slows."""
    through: str = "server"
    """What MLflow is reached through: `server`, `proxy` or `postgres`."""
    small_disk_mb: int = 0
    """The search's storage is a file system of this size; 0: it is not."""

    def why_not(self) -> str:
        """Why it cannot be had here; empty if it can."""
        return next((why for want in self.wants if (why := want())), "")


# --- processes -------------------------------------------------------------------------------


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


_PATIENCE_SECONDS = 30.0
"""How long a blow waits for something to strike."""


def _workers(bout: Bout) -> list[int]:
    assert bout.process is not None
    end = time.monotonic() + _PATIENCE_SECONDS
    while not (workers := bout.workers()) and time.monotonic() < end:
        if bout.process.poll() is not None:
            return []
        time.sleep(0.02)
    return workers


def _recorded_and_live(bout: Bout) -> list[Report]:
    """The last epochs of trials that are under way: what these go on from if the driver dies."""
    state = SearchState.from_events(bout.events())
    return [trial.last for trial in state.trials.values() if trial.live and trial.last]


def _signal_driver(number: signal.Signals) -> Blow:
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


# --- MLflow ----------------------------------------------------------------------------------


def kill_server(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """SIGKILL of the MLflow server, which comes back after a while."""
    del chance
    around.server.kill()
    _outage(bout, around.outage_seconds)
    around.server.revive()
    around.server.wait_ready()


def _mood(mood: services.Mood) -> Blow:
    def blow(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
        del chance
        around.proxy.mood = mood
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
    bout.outage = (began, time.monotonic())
    bout.notes["outage_seconds"] = seconds
    bout.notes["epochs_meanwhile"] = bout.count("report") - before
    # Of these nothing has to be resumed: the next epoch comes as if nothing were.
    bout.resumed_at = 0.0


# --- storage ---------------------------------------------------------------------------------


def flip_byte(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """While no driver runs, a byte of the checkpoint changes that a trial is to go on from."""
    del around
    assert bout.process is not None
    end = time.monotonic() + _PATIENCE_SECONDS
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


# --- trials that fail ------------------------------------------------------------------------


def no_blow(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """The fault is in what is trained."""
    del around, chance
    bout.resumed_at = 0.0


def mixed(bout: Bout, around: Surroundings, chance: np.random.Generator) -> None:
    """Two or three faults one after the other, in an order that chance decides."""
    blows: dict[str, Blow] = {
        "driver_kill": kill_driver,
        "trial_kill": kill_trial,
        "mlflow_500": _mood("failing"),
        "torn_line": tear_line,
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
        Fault("driver_kill", "SIGKILL of the driver at a random moment", kill_driver),
        Fault(
            "driver_kill_real",
            "the same, with a network in the place of the toy",
            kill_driver,
            size=Size(trials=6, max_epochs=3),
            real=True,
        ),
        Fault("trial_kill", "SIGKILL of a trial's process", kill_trial),
        Fault("trial_hang", "SIGSTOP of a trial's process", hang_trial),
        Fault("sigterm", "SIGTERM to the driver", _signal_driver(signal.SIGTERM), _SLOW),
        Fault("sigint", "Ctrl-C", _signal_driver(signal.SIGINT), _SLOW),
        Fault("two_launches", "two launches of one name", launch_twice),
        Fault("clock", "wall clock moved by an hour", move_clock, size=Size(hours=0.9)),
        Fault("mlflow_down", "MLflow server killed", kill_server, size=_LONG, paired=True),
        Fault(
            "mlflow_slow",
            f"MLflow slow ({services.SLOW_SECONDS:g} s a call)",
            _mood("slow"),
            size=_LONG,
            paired=True,
            through="proxy",
        ),
        Fault(
            "mlflow_500",
            "MLflow answers 500",
            _mood("failing"),
            size=_LONG,
            paired=True,
            through="proxy",
        ),
        Fault(
            "database_restart",
            "MLflow's PostgreSQL ended and started again",
            restart_database,
            size=_LONG,
            paired=True,
            through="postgres",
            wants=(services.why_no_postgres,),
        ),
        Fault("flipped_byte", "a flipped byte in the newest checkpoint", flip_byte),
        Fault("torn_line", "a torn last ledger line", tear_line),
        Fault(
            "disk_full",
            "storage full for a while",
            fill_disk,
            wants=(services.why_no_small_disk,),
            small_disk_mb=32,
        ),
        Fault(
            "disk_read_only",
            "storage read-only at a launch",
            lock_disk,
            wants=(services.why_no_small_disk,),
            small_disk_mb=32,
        ),
        Fault(
            "failures", "NaN loss, out of memory, collapse", no_blow, Size(trials=12), troubled=True
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
