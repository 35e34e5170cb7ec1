"""Simulate thousands of trials on a thousand slots, and measure what limits the driver.

python -m bench.scale [--trials 10000] [--slots 1000] [--epochs 9] [--catch-up 60] [--keep-page]

Trainings are formulas, and their clock is simulated (`bench.support.simulated_cluster`). The rule,
the sampler, the ledger with its fsync, and the tracker are real, in one process as in a launch; the
tracker feeds a real MLflow server on sqlite in another process. `--catch-up 0` does without it.
Writes bench/results/scale.json and, unless told to keep it, docs/scale.md.
"""

import argparse
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench import scale_page
from bench.support import formula_search, result_files, stack_sampler
from bench.support.simulated_cluster import EPOCH_SECONDS, Measured, Simulation
from search.ledger.ledger import Ledger
from search.reporting.snapshot import take_snapshot
from search.sampler import sampler
from search.sampler.history import SamplerHistory
from search.scheduler.next_job import choose_next_job
from search.tracking import server as mlflow_server
from search.tracking.sync import Tracker

SEED = 1

_SIMULATION = "the simulation itself"
_PARTS = (
    ("waiting for the disk", stack_sampler.FSYNC),
    ("Optuna's TPE", "/optuna/"),
    ("configs", "/spkmodel/"),
    ("what the sampler is told", "search/sampler/history.py"),
    ("what the sampler is told", "search/sampler/optuna_trials.py"),
    ("the rule and its index", "search/scheduler/rung_index.py"),
    ("the rule and its index", "search/scheduler/policy.py"),
    ("the rule and its index", "search/scheduler/asha.py"),
    ("the rule and its index", "search/scheduler/next_job.py"),
    ("the rule and its index", "search/scheduler/rung_queries.py"),
    ("the ledger", "search/ledger/ledger.py"),
    ("the state", "search/ledger/state.py"),
    ("the state", "search/ledger/trial.py"),
    ("the driver", "search/"),
    (_SIMULATION, "bench/"),
)


def main() -> None:
    asked = _parsed()
    logging.disable(logging.WARNING)
    result = result_files.describe_measurement(result_files.command_of("bench.scale")) | measured(
        asked.trials, asked.slots, asked.epochs, asked.catch_up
    )
    print(result_files.write("scale", result))
    if not asked.keep_page:
        print(scale_page.write())
    for line in scale_page.summary(result):
        print(line)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=9, help="of a trial that comes to the end")
    parser.add_argument(
        "--catch-up", type=float, default=60.0, help="seconds to watch the tracker for, afterwards"
    )
    parser.add_argument("--keep-page", action="store_true", help="do not write docs/scale.md")
    return parser.parse_args()


def measured(trials: int, slots: int, epochs: int, catch_up: float) -> dict[str, Any]:
    """Return all figures of one simulated search."""
    _warm_up()
    with tempfile.TemporaryDirectory() as folder:
        search = Simulation(Path(folder) / "scale", trials, slots, epochs, SEED)
        with _tracked(Path(folder), search.ledger.path, catch_up) as tracker:
            began, processor = time.perf_counter(), time.process_time()
            lag: list[int] = []

            def at(count: int) -> None:
                if count % max(1, trials // 20) == 0 and tracker is not None:
                    lag.append(tracker.health().queued)

            with stack_sampler.shares(_PARTS, "the driver") as looks:
                search.run(at)
            wall, processor = time.perf_counter() - began, time.process_time() - processor
            search.close()
            own = looks.pop(_SIMULATION, 0) / max(1, looks.total() + looks[_SIMULATION])
            figures = {
                "trials": trials,
                "slots": slots,
                "rungs": list(search.policy.rungs),
                "reports": sum(len(trial.reports) for trial in search.state.trials.values()),
                "events": search.state.version,
                "simulated_hours": round(search.measured.simulated / 3600, 1),
                "epoch_seconds": EPOCH_SECONDS,
                "driver": _of_driver(search.measured, looks, wall * (1 - own), processor),
                "suggest_ms": _by_count(search.measured.suggest, trials),
                "memory": _memory(search.measured),
                "ledger": _of_ledger(search),
                "regret_points": round(100 * search.regret(), 3),
            }
            if tracker is not None:
                figures["tracker"] = _of_tracker(tracker, lag, search.state.version, catch_up, wall)
    return figures


def _warm_up() -> None:
    """Load everything that is loaded on first use, before the measurement."""
    with tempfile.TemporaryDirectory() as folder:
        search = Simulation(Path(folder) / "first", 12, 4, 1, SEED)
        search.run()
        search.close()


@contextmanager
def _tracked(home: Path, ledger: Path, catch_up: float) -> Iterator[Tracker | None]:
    if not catch_up:
        yield None
        return
    server = mlflow_server.start(home)
    server.wait_ready()
    tracker = Tracker(ledger, server.uri).start()
    try:
        yield tracker
    finally:
        tracker.close()
        server.stop()


def _of_driver(
    taken: Measured, looks: Counter[str], wall: float, processor: float
) -> dict[str, Any]:
    return {
        "seconds": round(wall, 1),
        "processor_seconds": round(processor, 1),
        "reports_a_second": round(len(taken.report) / wall, 1),
        "report_ms": _quantiles(taken.report),
        "next_segment_ms": _quantiles(taken.ask),
        "new_trial_ms": _quantiles([took for _, took in taken.new]),
        "shares": {
            name: round(count / looks.total(), 3) for name, count in looks.most_common() if count
        },
    }


def _quantiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    p50, p95, p99 = 1000 * np.quantile(seconds, [0.5, 0.95, 0.99])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "p99": round(float(p99), 3)}


def _by_count(taken: list[tuple[int, float]], trials: int) -> list[dict[str, Any]]:
    """Return for each tenth of the search how long a suggestion takes, by the number of trials."""
    found = []
    for tenth in range(10):
        low, high = tenth * trials // 10, (tenth + 1) * trials // 10
        here = [took for count, took in taken if low <= count < high]
        if here:
            found.append({"trials": [low, high], **_quantiles(here)})
    return found


def _memory(taken: Measured) -> dict[str, float]:
    """Return the memory of the driver's process, and its slope over the last half."""
    counts, held = np.array(taken.memory).T
    late = counts >= counts[-1] / 2
    slope = np.polyfit(counts[late], held[late], 1)[0] if late.sum() > 1 else 0.0
    return {
        "first_mb": round(held[0] / 1e6, 1),
        "last_mb": round(held[-1] / 1e6, 1),
        "mb_per_1000_trials": round(1000 * float(slope) / 1e6, 2),
    }


def _of_ledger(search: Simulation) -> dict[str, Any]:
    """Return the ledger's size, how long resuming takes, and whether it decides the same."""
    path, state, policy = search.ledger.path, search.state, search.policy
    began = time.perf_counter()
    again = Ledger.open(path).state()
    read = time.perf_counter()
    after = sampler.suggest(formula_search.SPACE, again, policy, SEED, "tpe", SamplerHistory(again))
    suggested = time.perf_counter()
    kept = sampler.suggest(formula_search.SPACE, state, policy, SEED, "tpe", search.driver.known)
    same_job = choose_next_job(again, policy) == choose_next_job(
        state, policy, 0.0, search.driver.index.refresh(policy)
    )
    looked = time.perf_counter()
    take_snapshot(state)
    return {
        "bytes": path.stat().st_size,
        "bytes_a_trial": round(path.stat().st_size / len(state.trials)),
        "read_seconds": round(read - began, 2),
        "first_suggestion_seconds": round(suggested - read, 2),
        "snapshot_seconds": round(time.perf_counter() - looked, 3),
        "fsync_ms": _quantiles(_fsyncs(path.parent)),
        "goes_on_the_same": again == state and after == kept and same_job,
    }


def _fsyncs(folder: Path) -> list[float]:
    """Return how long the disk takes for one line of a ledger."""
    took = []
    with (folder / "line").open("ab", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 500)
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return took


def _of_tracker(
    tracker: Tracker, lag: list[int], events: int, seconds: float, wall: float
) -> dict[str, Any]:
    """Return how far the tracker was behind, and how fast it catches up once nothing is added."""
    behind = tracker.health().queued
    began, processor = time.perf_counter(), tracker.processor_seconds()
    tracker.drain(seconds)
    took, processor = time.perf_counter() - began, tracker.processor_seconds() - processor
    left = tracker.health().queued
    rate = (behind - left) / took
    return {
        "events_behind": lag,
        "behind_at_the_end": behind,
        "events_a_second_beside_the_driver": round((events - behind) / wall, 1),
        "caught_up_in_seconds": round(took, 1) if not left else None,
        "events_left": left,
        "events_a_second": round(rate, 1),
        "whole_search_seconds": round(events / rate) if rate > 0 else None,
        "processor_ms_an_event": round(1000 * processor / max(1, behind - left), 3),
    }


if __name__ == "__main__":
    main()
