"""Run one round: launch a search, inject a fault, wait for the end, check every invariant."""

import os
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.chaos import evidence, invariants, processes, services, slowdown
from bench.chaos.experiment import Experiment, Size
from bench.chaos.faults.catalogue import FAULTS, unmet_expectations
from bench.chaos.faults.fault import Fault, FaultContext
from bench.chaos.schedule import Record, Round, generator_for
from bench.chaos.shared_servers import SharedServers
from bench.chaos.toy import movable_clock, training
from bench.support import result_files
from search.space import loader
from search.tracking import sync

_PACKAGES = ("ray", "optuna", "mlflow", "torch")
_OUTPUT_CHARACTERS = 2000
_LONG_SECONDS = 60.0
"""From here on it is measured what an outage slows, with epochs of a second."""
_FIRST_EVENTS = 10
"""After so many the workers of a timed round are at work."""
_CATCH_UP_SECONDS = 300.0


def play(servers: SharedServers, this: Round, seed: int, keep: bool = False) -> Record:
    """Run one round, check it, and return its record.

    The round's folder is removed unless something was wrong or `keep` is set.
    """
    fault = FAULTS[this.fault]
    record: Record = {
        "fault": fault.name,
        "round": this.number,
        "seed": seed,
        "date": result_files.now(),
        "cores": os.cpu_count(),
        "load": result_files.load(),
        "versions": result_files.versions(_PACKAGES),
    }
    if why := fault.why_not():
        return record | {"skipped": why}
    context = servers.context_for(fault)
    began = time.monotonic()
    place = servers.folder / f"{fault.name}-{seed}-{this.number}"
    with processes.adopting():
        record |= _run_experiment(place, fault, context, generator_for(seed, this), seed)
    if record["recovered"] and not keep:
        shutil.rmtree(place, ignore_errors=True)
    return record | {"seconds": round(time.monotonic() - began, 1)}


def _run_experiment(
    place: Path, fault: Fault, context: FaultContext, rng: np.random.Generator, seed: int
) -> Record:
    shutil.rmtree(place, ignore_errors=True)
    experiment = _new_experiment(place, fault, context, seed)
    if fault.measures_slowdown:
        experiment.size = _lengthened(experiment.size, context.outage_seconds)
    watch = processes.ProcessWatch(context.processes)
    record: Record = {}
    with _storage(experiment, fault):
        try:
            record["at_event"] = _inject_and_finish(experiment, fault, context, rng)
            left = watch.left()
            record |= _check(experiment, fault, context, left)
        except Exception:  # noqa: BLE001  # a round that breaks is a round that failed
            record |= {"recovered": False, "violations": [traceback.format_exc()[-1500:]]}
        finally:
            experiment.end()
            watch.left(2)
        if not record["recovered"] and (place / "output").exists():
            record["output"] = experiment.output[-_OUTPUT_CHARACTERS:]
    return record | {"notes": experiment.notes, "launches": experiment.launches}


def _inject_and_finish(
    experiment: Experiment, fault: Fault, context: FaultContext, rng: np.random.Generator
) -> int:
    """Launch, inject the fault, wait for the end; return after how many events it was injected."""
    is_timed = fault.measures_slowdown and context.outage_seconds >= _LONG_SECONDS
    events = int(rng.integers(1, 4 * experiment.size.trials))
    if is_timed:
        events = min(events, _FIRST_EVENTS)
    experiment.launch()
    if experiment.wait_for_events(events):
        time.sleep(float(rng.uniform(0, 0.3)))
        if is_timed:
            _wait_calmly(experiment, context, slowdown.BEFORE)
        experiment.mark_injection()
        fault.inject(experiment, context, rng)
        if is_timed:
            _catch_up(experiment, context)
            _wait_calmly(experiment, context, slowdown.AFTER)
    else:
        experiment.problem(f"the search ended with {experiment.finish()} before {events} events")
    if code := experiment.finish():
        experiment.problem(f"the search ended with {code}")
    return events


def _wait_calmly(experiment: Experiment, context: FaultContext, phase: str) -> None:
    """Let the search run undisturbed, and note when that was."""
    began = time.monotonic()
    experiment.wait(slowdown.calm_seconds(context.outage_seconds))
    experiment.phases[phase] = (began, time.monotonic())


def _catch_up(experiment: Experiment, context: FaultContext) -> None:
    """Wait until MLflow has received all events that the ledger had when the outage ended."""
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
    extra = context.server.client_environment()
    if fault.name == "clock":
        extra[movable_clock.CLOCK] = str(place / "clock")
    return Experiment(place, uri, fault.size, fault.real, fault.has_failing_configs, seed, extra)


def _lengthened(size: Size, outage_seconds: float) -> Size:
    """Return a size with which the search outlasts the outage; a trial has three epochs or so."""
    seconds = 1.5 * outage_seconds
    if outage_seconds >= _LONG_SECONDS:
        size = replace(size, epoch_seconds=1.0)
        # Its beginning, what is watched before and after, and the catching up in between.
        seconds = 30 + 2 * slowdown.calm_seconds(outage_seconds) + 1.3 * outage_seconds
    calm = 3 * size.trials * size.epoch_seconds / 2
    return replace(size, trials=int(size.trials * max(1.0, seconds / calm)))


@contextmanager
def _storage(experiment: Experiment, fault: Fault) -> Iterator[None]:
    if not fault.small_disk_mb:
        yield
        return
    with services.small_disk(experiment.home, fault.small_disk_mb):
        yield


def _check(experiment: Experiment, fault: Fault, context: FaultContext, left: list[str]) -> Record:
    """Check every invariant on a search that has ended, and return what was found."""
    uri = context.server.uri
    late = not sync.catch_up(experiment.ledger_path, uri)
    found = evidence.read(
        experiment.folder,
        uri,
        _checkpoint_evaluator(experiment),
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
    lost, doubled, other = _count_points(found)
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


def _count_points(found: evidence.Evidence) -> tuple[int, int, int]:
    wanted = evidence.recorded(found.events, "dev_eer")
    totals = [0, 0, 0]
    for run in found.runs or []:
        three = invariants.differences(wanted.get(run.trial, []), run.history["dev_eer"])
        totals = [total + more for total, more in zip(totals, three, strict=True)]
    return totals[0], totals[1], totals[2]


def _checkpoint_evaluator(experiment: Experiment) -> evidence.CheckpointEer:
    if not experiment.real:
        return training.checkpoint_eer

    def evaluate_network(folder: Path, sha256: str) -> float:
        from search.ledger.state import SearchState
        from spkmodel.data.store import Store
        from spkmodel.verification.embed_and_score import evaluate_encoder, load_encoder

        settings = SearchState.from_events(experiment.events()).search
        encoder, _ = load_encoder(folder, sha256)
        pairs = Store.open(Path(settings.store)).dev_pairs
        return evaluate_encoder(encoder, Store.open(Path(settings.dev_store)), pairs).eer

    return evaluate_network
