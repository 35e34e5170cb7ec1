"""One search under attack: launched as a user would, struck, launched again, and looked at."""

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
from search.ledger.ledger import Event, Ledger
from search.ledger.state import SearchState

EVENT_SECONDS = 90.0
"""How long nothing may happen before a bout is given up."""
FINISH_SECONDS = 240.0
PATIENCE_SECONDS = 30.0
"""How long a blow waits for something to strike."""

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
    """A search by its name, and how to drive it."""

    place: Path
    """A folder for all of a round; made here."""
    uri: str
    """Of MLflow, as the search is told."""
    size: Size = field(default_factory=Size)
    real: bool = False
    """Whether a network is trained, and not a toy."""
    has_failing_configs: bool = False
    """Whether some configs diverge, collapse or need too much memory."""
    seed: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    """More environment for the search."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a blow wants the result to say."""
    process: "subprocess.Popen[bytes] | None" = None
    launches: int = 0
    injected_at: float = 0.0
    """When the last blow came, in seconds of the wall clock."""
    resumed_at: float = 0.0
    """When it began to be recovered from; 0: nothing had to be."""
    problems: list[str] = field(default_factory=list)
    """What a blow found wrong."""
    phases: dict[str, slowing.Phase] = field(default_factory=dict)
    """When something was away, and when it was calm."""
    before: list[bytes] = field(default_factory=list)
    """The ledger as it was at every blow."""

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
        """Its `$SPKSEARCH_HOME`."""
        return self.place / "home"

    @property
    def space(self) -> Path:
        """The file of its space."""
        return self.place / "chaos_space.py"

    @property
    def folder(self) -> Path:
        """The search's own."""
        return self.home / self.name

    @property
    def ledger_path(self) -> Path:
        """Its ledger, once it is there."""
        return self.folder / "ledger.jsonl"

    def ledger_bytes(self, offset: int = 0) -> bytes:
        """What the ledger holds from there on; nothing, if there is none yet."""
        if not self.ledger_path.exists():
            return b""
        with self.ledger_path.open("rb") as ledger:
            ledger.seek(offset)
            return ledger.read()

    def events(self) -> list[Event]:
        """All so far."""
        return list(Ledger.open(self.ledger_path).events())

    def count(self, kind: str = "") -> int:
        """Events so far, of one kind or all."""
        lines = self.ledger_bytes().splitlines()
        return sum(f'"event": "{kind}'.encode() in line[:64] for line in lines)

    @property
    def output(self) -> str:
        """What the launches have said so far."""
        return (self.place / "output").read_text(errors="replace")

    # --- driving -----------------------------------------------------------------------------

    def command(self) -> list[str]:
        """What the user types."""
        module = "search" if self.real else "bench.chaos.toy.program"
        words = [sys.executable, "-P", "-m", module, "launch", str(self.space)]
        words += ["--corpus", str(self.place / "corpus"), "--name", self.name]
        words += ["--trials", str(self.size.trials), "--max-epochs", str(self.size.max_epochs)]
        words += ["--seed", str(self.seed), "--concurrent", "2", "--cpus-per-trial", "1"]
        if self.size.hours is not None:
            words += ["--hours", str(self.size.hours)]
        return [*words, "--tracking-uri", self.uri]

    def environment(self) -> dict[str, str]:
        """Of the search; nothing of it reaches another one."""
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
        """Start the search, or go on with it."""
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
        """Until the ledger has so many; whether the search is still driven then."""
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
        """That long, but not beyond its end."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def problem(self, words: str) -> None:
        """Say what is wrong."""
        self.problems.append(words)

    def mark_injection(self) -> None:
        """Note that a blow comes now."""
        self.before.append(self.ledger_bytes())
        self.injected_at = self.resumed_at = time.time()

    def kill(self) -> None:
        """SIGKILL the driver, and nothing but it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def relaunch(self) -> None:
        """The same command again."""
        self.resumed_at = time.time()
        self.launch()

    def finish(self) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(FINISH_SECONDS + self.notes.get("outage_seconds", 0.0))

    def workers(self) -> list[int]:
        """The processes that train now."""
        assert self.process is not None
        return processes.working(self.process.pid)

    def end(self) -> None:
        """Leave nothing running, whatever went wrong."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- what it cost ------------------------------------------------------------------------

    def seconds_to_resume(self) -> float | None:
        """From the last blow, or the launching again after it, to the next epoch of what it cut.

        None if it cut nothing.
        """
        cut: set[str] = set()
        for event in self.events():
            moment = datetime.fromisoformat(event["time"]).timestamp()
            if event["event"] == "crash" and moment > self.injected_at:
                cut.add(event["trial"])
            resumed = event["event"] == "report" and event["trial"] in cut
            if resumed and 0 < self.resumed_at < moment:
                return round(moment - self.resumed_at, 2)
        return None

    def epochs_redone(self) -> int:
        """How often the trial that suffered most began an epoch again; a toy's diary tells."""
        begun = Counter((signature, epoch) for signature, epoch, *_ in self._epoch_log())
        redone: Counter[str] = Counter()
        for (signature, _), times in begun.items():
            redone[signature] += times - 1
        return max(redone.values(), default=0)

    def slowing(self) -> dict[str, Any] | None:
        """By how much an outage slowed the training."""
        if slowing.BEFORE not in self.phases:
            return None
        rungs = SearchState.from_events(self.events()).rungs
        return slowing.slowing(slowing.gaps(self._epoch_log(), rungs), self.phases)

    def _epoch_log(self) -> list[list[Any]]:
        epoch_log = self.place / "diary"
        lines = epoch_log.read_text().splitlines() if epoch_log.exists() else []
        return [json.loads(line) for line in lines]
