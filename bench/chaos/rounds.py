"""Rounds: which fault when, from a seed; each run, judged, and written down as it ends."""

import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.chaos import (
    evidence,
    invariants,
    movable_clock,
    processes,
    services,
    slowdown,
    toy_training,
)
from bench.chaos.catalogue import FAULTS, unmet_expectations
from bench.chaos.experiment import Experiment, Size
from bench.chaos.fault import Fault, FaultContext
from bench.support import result_files as surroundings
from search.space import loader
from search.tracking import server as mlflow_server
from search.tracking import sync

Record = dict[str, Any]

_PACKAGES = ("ray", "optuna", "mlflow", "torch")
_OUTPUT_CHARACTERS = 2000
_LONG_SECONDS = 60.0
"""From here on it is measured what an outage slows, with epochs of a second."""
_FIRST_EVENTS = 10
"""After so many the workers of a timed round are at work."""
_CATCH_UP_SECONDS = 300.0


@dataclass(frozen=True)
class Round:
    """One of a schedule."""

    fault: str
    number: int


def schedule(rounds: int, seed: int, names: list[str] | None = None) -> list[Round]:
    """Rounds in the order of chance: as many of each as asked for.

    Without names the driver is killed in every second round, as often as asked for, and the other
    faults share as many rounds again, each at least once.
    """
    if names:
        wanted = [Round(name, number) for name in names for number in range(rounds)]
    else:
        others = [name for name in FAULTS if name != "driver_kill"]
        each = max(1, rounds // len(others))
        wanted = [Round("driver_kill", number) for number in range(rounds)]
        wanted += [Round(name, number) for name in others for number in range(each)]
    order = np.random.default_rng([seed, 7]).permutation(len(wanted))
    return [wanted[int(place)] for place in order]


def chance_of(seed: int, this: Round) -> np.random.Generator:
    """All chance of a round: the same however many rounds came before."""
    return np.random.default_rng([seed, this.number, *this.fault.encode()])


class Arena:
    """What the rounds share: an MLflow server and its proxy, a PostgreSQL with a second server."""

    def __init__(self, folder: Path, outage_seconds: float) -> None:
        self.folder = folder
        self._outage_seconds = outage_seconds
        self._stack = ExitStack()
        self._plain: FaultContext | None = None
        self._on_postgres: FaultContext | None = None

    def context(self, fault: Fault) -> FaultContext:
        """Started when first wanted."""
        if fault.mlflow_route == "postgres":
            if self._on_postgres is None:
                postgres = services.Postgres(Path(tempfile.mkdtemp(prefix="chaos-pg-")) / "pg")
                self._stack.callback(shutil.rmtree, postgres.folder.parent, ignore_errors=True)
                self._stack.callback(postgres.stop)
                self._on_postgres = self._serve("on-postgres", postgres)
            return self._on_postgres
        if self._plain is None:
            self._plain = self._serve("on-sqlite", None)
        return self._plain

    def _serve(self, name: str, postgres: services.Postgres | None) -> FaultContext:
        home = self.folder / name
        home.mkdir(parents=True)
        server = mlflow_server.start(home, store=postgres.uri if postgres else None)
        self._stack.callback(server.stop)
        server.wait_ready()
        proxy = services.Proxy(server.port)
        self._stack.callback(proxy.close)
        return FaultContext(server, proxy, postgres, self._outage_seconds)

    def __enter__(self) -> "Arena":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        processes.end_agents()


def play(arena: Arena, this: Round, seed: int, keep: bool = False) -> Record:
    """Run a round to its verdict; its folder goes unless something was wrong or `keep`."""
    fault = FAULTS[this.fault]
    record: Record = {
        "fault": fault.name,
        "round": this.number,
        "seed": seed,
        "date": surroundings.now(),
        "cores": os.cpu_count(),
        "load": surroundings.load(),
        "versions": surroundings.versions(_PACKAGES),
    }
    if why := fault.why_not():
        return record | {"skipped": why}
    context = arena.context(fault)
    began = time.monotonic()
    place = arena.folder / f"{fault.name}-{seed}-{this.number}"
    with processes.adopting():
        record |= _struck(place, fault, context, chance_of(seed, this), seed)
    if record["recovered"] and not keep:
        shutil.rmtree(place, ignore_errors=True)
    return record | {"seconds": round(time.monotonic() - began, 1)}


def _struck(
    place: Path, fault: Fault, context: FaultContext, rng: np.random.Generator, seed: int
) -> Record:
    shutil.rmtree(place, ignore_errors=True)
    experiment = _new_experiment(place, fault, context, seed)
    if fault.measures_slowdown:
        experiment.size = _long_enough(experiment.size, context.outage_seconds)
    watch = processes.ProcessWatch(context.processes)
    record: Record = {}
    with _disk(experiment, fault):
        try:
            record["at_event"] = _fought(experiment, fault, context, rng)
            left = watch.left()
            record |= _judged(experiment, fault, context, left)
        except Exception:  # noqa: BLE001  # a round that breaks is a round that failed
            record |= {"recovered": False, "violations": [traceback.format_exc()[-1500:]]}
        finally:
            experiment.end()
            watch.left(2)
        if not record["recovered"] and (place / "output").exists():
            record["output"] = experiment.output[-_OUTPUT_CHARACTERS:]
    return record | {"notes": experiment.notes, "launches": experiment.launches}


def _fought(
    experiment: Experiment, fault: Fault, context: FaultContext, rng: np.random.Generator
) -> int:
    """Launch, strike, and wait for the end; the number of events that the blow waited for."""
    is_timed = fault.measures_slowdown and context.outage_seconds >= _LONG_SECONDS
    events = int(rng.integers(1, 4 * experiment.size.trials))
    if is_timed:
        events = min(events, _FIRST_EVENTS)
    experiment.launch()
    if experiment.wait_for_events(events):
        time.sleep(float(rng.uniform(0, 0.3)))
        if is_timed:
            _calm(experiment, context, slowdown.BEFORE)
        experiment.mark_injection()
        fault.inject(experiment, context, rng)
        if is_timed:
            _catch_up(experiment, context)
            _calm(experiment, context, slowdown.AFTER)
    else:
        experiment.problem(f"the search ended with {experiment.finish()} before {events} events")
    if code := experiment.finish():
        experiment.problem(f"the search ended with {code}")
    return events


def _calm(experiment: Experiment, context: FaultContext, phase: str) -> None:
    began = time.monotonic()
    experiment.wait(slowdown.calm_seconds(context.outage_seconds))
    experiment.phases[phase] = (began, time.monotonic())


def _catch_up(experiment: Experiment, context: FaultContext) -> None:
    """Wait until MLflow has all that the ledger had when it was there again."""
    began, wanted = experiment.phases[slowdown.AWAY][1], experiment.count()
    end = time.monotonic() + _CATCH_UP_SECONDS
    while (
        evidence.received(context.server.uri, experiment.name) < wanted and time.monotonic() < end
    ):
        experiment.wait(1.0)
    experiment.phases[slowdown.CATCHING_UP] = (began, time.monotonic())
    experiment.notes["caught_up_seconds"] = round(time.monotonic() - began, 1)


def _new_experiment(place: Path, fault: Fault, context: FaultContext, seed: int) -> Experiment:
    uri = context.proxy.uri if fault.mlflow_route == "proxy" else context.server.uri
    extra = {movable_clock.CLOCK: str(place / "clock")} if fault.name == "clock" else {}
    return Experiment(place, uri, fault.size, fault.real, fault.has_failing_configs, seed, extra)


def _long_enough(size: Size, outage_seconds: float) -> Size:
    """So that an outage is over before the search is; each trial has three epochs or so."""
    seconds = 1.5 * outage_seconds
    if outage_seconds >= _LONG_SECONDS:
        size = replace(size, epoch_seconds=1.0)
        # Its beginning, what is watched before and after, and the catching up in between.
        seconds = 30 + 2 * slowdown.calm_seconds(outage_seconds) + 1.3 * outage_seconds
    calm = 3 * size.trials * size.epoch_seconds / 2
    return replace(size, trials=int(size.trials * max(1.0, seconds / calm)))


@contextmanager
def _disk(experiment: Experiment, fault: Fault) -> Iterator[None]:
    if not fault.small_disk_mb:
        yield
        return
    with services.small_disk(experiment.home, fault.small_disk_mb):
        yield


def _judged(experiment: Experiment, fault: Fault, context: FaultContext, left: list[str]) -> Record:
    """Everything that can be known of a search that has ended."""
    uri = context.server.uri
    late = not sync.catch_up(experiment.ledger_path, uri)
    found = evidence.read(
        experiment.folder,
        uri,
        _checkpoint_eer_of(experiment),
        loader.load(str(experiment.space)),
        left,
    )
    wrong = (
        experiment.problems + invariants.violations(found) + unmet_expectations(experiment, fault)
    )
    for before in experiment.before:
        wrong += invariants.lost_ledger_bytes(before, experiment.ledger_path)
    if late:
        wrong.append("MLflow could not be brought to the ledger's state afterwards")
    lost, doubled, other = _points(found)
    return {
        "recovered": not wrong,
        "violations": wrong,
        "trials": len(found.state.trials),
        "epochs": sum(len(trial.reports) for trial in found.state.trials.values()),
        "seconds_to_resume": experiment.seconds_to_resume(),
        "epochs_redone": None if experiment.real else experiment.epochs_redone(),
        "points_lost": lost,
        "points_doubled": doubled + other,
        "slowing": experiment.slowing(),
    }


def _points(found: evidence.Evidence) -> tuple[int, int, int]:
    wanted = evidence.recorded(found.events, "dev_eer")
    totals = [0, 0, 0]
    for run in found.runs or []:
        three = invariants.differences(wanted.get(run.trial, []), run.history["dev_eer"])
        totals = [one + more for one, more in zip(totals, three, strict=True)]
    return totals[0], totals[1], totals[2]


def _checkpoint_eer_of(experiment: Experiment) -> evidence.CheckpointEer:
    if not experiment.real:
        return toy_training.checkpoint_eer

    def of_network(folder: Path, sha256: str) -> float:
        from search.ledger.state import SearchState
        from spkmodel.data.store import Store
        from spkmodel.verification.embed_and_score import evaluate_encoder, load_encoder

        settings = SearchState.from_events(experiment.events()).search
        encoder, _ = load_encoder(folder, sha256)
        pairs = Store.open(Path(settings["store"])).dev_pairs
        return evaluate_encoder(encoder, Store.open(Path(settings["dev_store"])), pairs).eer

    return of_network


# --- results ---------------------------------------------------------------------------------


def results_path(folder: Path, seed: int) -> Path:
    """Where the rounds of a seed are kept."""
    return folder / f"chaos-{seed}.jsonl"


def results(path: Path) -> list[Record]:
    """The rounds kept so far, each as it was last played; a torn line is left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found: dict[tuple[str, int], Record] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[record["fault"], record["round"]] = record
    return list(found.values())


def _append(path: Path, record: Record) -> None:
    torn = path.is_file() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(record) + "\n")


def run(
    path: Path,
    wanted: list[Round],
    seed: int,
    outage_seconds: float,
    say: Callable[[Record], None],
    keep: bool = False,
    again: bool = False,
) -> list[Record]:
    """Play what is not there yet, and write each down as it ends; all of them.

    `again`: rounds that broke an invariant or were skipped do not count as there.
    """
    there = {
        (each["fault"], each["round"]): each
        for each in results(path)
        if not again or each.get("recovered")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        with Arena(folder, outage_seconds) as arena:
            for this in wanted:
                if (this.fault, this.number) not in there:
                    record = play(arena, this, seed, keep)
                    _append(path, record)
                    there[this.fault, this.number] = record
                    say(record)
    finally:
        if not any(folder.glob("*-*-*/output")):
            shutil.rmtree(folder, ignore_errors=True)
    return [there[this.fault, this.number] for this in wanted]
