"""Drive one search into which a fault is injected, as a user would launch it."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.chaos import processes
from bench.chaos import slowdown as slowing
from bench.chaos.toy import training
from bench.support import smallest_configs
from search.ledger.events import CrashEvent, Event, ReportEvent
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState

EVENT_SECONDS = 90.0
"""How long the ledger may stand still before an experiment is given up."""
FINISH_SECONDS = 240.0
PATIENCE_SECONDS = 30.0
"""How long a fault waits for what it needs, such as a process that trains."""

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Size:
    """How large a search is."""

    trials: int = 8
    max_epochs: int = 9
    epoch_seconds: float = 0.1
    hours: float | None = None


@dataclass
class Experiment:
    """One search: where its files are, how it is launched, what the fault did to it."""

    place: Path
    """The folder of the round; made here."""
    uri: str
    """MLflow's address, as the search is given it."""
    size: Size = field(default_factory=Size)
    real: bool = False
    """Whether a network is trained, and not a toy."""
    has_failing_configs: bool = False
    """Whether some configs diverge, collapse or need too much memory."""
    seed: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    """More environment for the search."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a fault adds to the round's record."""
    process: "subprocess.Popen[bytes] | None" = None
    launches: int = 0
    injected_at: float = 0.0
    """When the last fault was injected, in seconds of the wall clock."""
    resumed_at: float = 0.0
    """When recovery began; 0: there was nothing to recover from."""
    problems: list[str] = field(default_factory=list)
    """What was found wrong."""
    phases: dict[str, slowing.Phase] = field(default_factory=dict)
    """When something was away, and when the search ran undisturbed."""
    before: list[bytes] = field(default_factory=list)
    """The ledger's bytes at every fault."""

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        self.name = self.place.name
        self.home.mkdir(exist_ok=True)
        self._token = secrets.token_hex(32)
        self.space.write_text(training.space(self.has_failing_configs))
        if not (self.place / "corpus").exists():
            smallest_configs.write_corpus(self.place / "corpus")

    # --- where things are --------------------------------------------------------------------

    @property
    def home(self) -> Path:
        """The search's `$SPKSEARCH_HOME`."""
        return self.place / "home"

    @property
    def space(self) -> Path:
        """The file of the search's space."""
        return self.place / "chaos_space.py"

    @property
    def folder(self) -> Path:
        """The search's folder."""
        return self.home / self.name

    @property
    def ledger_path(self) -> Path:
        """The search's ledger; it exists once a driver has begun."""
        return self.folder / "ledger.jsonl"

    def ledger_bytes(self, offset: int = 0) -> bytes:
        """Return the ledger's bytes from an offset on; none, if there is no ledger yet."""
        if not self.ledger_path.exists():
            return b""
        with self.ledger_path.open("rb") as ledger:
            ledger.seek(offset)
            return ledger.read()

    def events(self) -> list[Event]:
        """Return all events so far."""
        return list(Ledger.open(self.ledger_path).events())

    def count(self, kind: str = "") -> int:
        """Return the number of events so far, of one kind or of all."""
        lines = self.ledger_bytes().splitlines()
        return sum(f'"event": "{kind}'.encode() in line[:64] for line in lines)

    @property
    def output(self) -> str:
        """What the launches have printed so far."""
        return (self.place / "output").read_text(errors="replace")

    # --- driving -----------------------------------------------------------------------------

    def command(self) -> list[str]:
        """Return the command that a user would type."""
        module = "search" if self.real else "bench.chaos.toy.program"
        words = [sys.executable, "-P", "-m", module, "launch", str(self.space)]
        words += ["--corpus", str(self.place / "corpus"), "--name", self.name]
        words += ["--trials", str(self.size.trials), "--max-epochs", str(self.size.max_epochs)]
        words += ["--seed", str(self.seed), "--concurrent", "2", "--cpus-per-trial", "1"]
        if self.size.hours is not None:
            words += ["--hours", str(self.size.hours)]
        return [*words, "--tracking-uri", self.uri]

    def environment(self) -> dict[str, str]:
        """Return the environment of the search, with a home and a token of its own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        return kept | {
            "SPKSEARCH_HOME": str(self.home),
            "PYTHONPATH": str(_ROOT),
            "OMP_NUM_THREADS": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # The toy imports Ray before the launch can choose a token.
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            training.EPOCH_SECONDS: str(self.size.epoch_seconds),
            training.EPOCH_LOG: str(self.place / "diary"),
            **self.extra,
        }

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start the search, or resume it."""
        self.launches += 1
        with (self.place / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self.process

    def wait_for_events(self, count: int) -> bool:
        """Wait until the ledger has `count` events; return whether the driver still runs then."""
        assert self.process is not None
        end = time.monotonic() + EVENT_SECONDS
        seen = offset = 0
        while seen < count and self.process.poll() is None:
            # Only what is new: to read all of a long ledger again takes a processor for itself.
            new = self.ledger_bytes(offset)
            if new.count(b"\n"):
                end = time.monotonic() + EVENT_SECONDS
            seen, offset = seen + new.count(b"\n"), offset + new.rfind(b"\n") + 1
            if time.monotonic() > end:
                raise TimeoutError(f"nothing new in the ledger for {EVENT_SECONDS:.0f} s")
            time.sleep(0.01)
        return self.process.poll() is None

    def wait(self, seconds: float) -> None:
        """Wait for some seconds, or until the driver ends."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def problem(self, words: str) -> None:
        """Record something that is wrong."""
        self.problems.append(words)

    def mark_injection(self) -> None:
        """Record that a fault is injected now, and what the ledger holds."""
        self.before.append(self.ledger_bytes())
        self.injected_at = self.resumed_at = time.time()

    def kill(self) -> None:
        """Kill the driver by SIGKILL, and nothing but it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def relaunch(self) -> None:
        """Launch again by the same command."""
        self.resumed_at = time.time()
        self.launch()

    def finish(self) -> int:
        """Wait until the driver ends, and return its exit code."""
        assert self.process is not None
        return self.process.wait(FINISH_SECONDS + self.notes.get("outage_seconds", 0.0))

    def workers(self) -> list[int]:
        """Return the processes that train now."""
        assert self.process is not None
        return processes.working(self.process.pid)

    def end(self) -> None:
        """End the driver if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- what it cost ------------------------------------------------------------------------

    def seconds_to_resume(self) -> float | None:
        """Return the seconds from the last fault to the next epoch of a trial that it interrupted.

        They count from the launch after the fault, if there was one. None if it interrupted none.
        """
        cut: set[str] = set()
        for event in self.events():
            moment = datetime.fromisoformat(event.time).timestamp()
            if isinstance(event, CrashEvent) and moment > self.injected_at:
                cut.add(event.trial)
            resumed = isinstance(event, ReportEvent) and event.trial in cut
            if resumed and 0 < self.resumed_at < moment:
                return round(moment - self.resumed_at, 2)
        return None

    def epochs_redone(self) -> int:
        """Return the most epochs that any one trial began again, by the toy's log of epochs."""
        begun = Counter((signature, epoch) for signature, epoch, *_ in self._epoch_log())
        redone: Counter[str] = Counter()
        for (signature, _), times in begun.items():
            redone[signature] += times - 1
        return max(redone.values(), default=0)

    def slowing(self) -> dict[str, Any] | None:
        """Return by how much an outage slowed the training; None if that was not measured."""
        if slowing.BEFORE not in self.phases:
            return None
        rungs = SearchState.from_events(self.events()).rungs
        return slowing.slowing(slowing.gaps(self._epoch_log(), rungs), self.phases)

    def _epoch_log(self) -> list[list[Any]]:
        epoch_log = self.place / "diary"
        lines = epoch_log.read_text().splitlines() if epoch_log.exists() else []
        return [json.loads(line) for line in lines]
