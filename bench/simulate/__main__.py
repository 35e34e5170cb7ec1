"""Simulate searches by this project's strategies and by others, and print what each is worth.

python -m bench.simulate [--minutes M] [--searches N] [--family F ...] [--arm TEXT ...]

Adds to the stored table (bench/results/simulate.json) what is missing up to N searches a cell,
for M minutes, and prints all of it. Every search of a family has the same budget, curves and
noise whatever the strategy. The budget is counted in seconds of the default config's epoch.
"""

import argparse
import logging
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from bench.simulate import page
from bench.simulate.arms import ARMS, SLOW_ARMS, Conditions
from bench.simulate.curves import FamilyOfSeed
from bench.simulate.measures import RULES, Rule, trajectory
from bench.simulate.recorded import Recorded, Surrogate
from bench.simulate.synthetic import benign, crossing, noisy
from bench.simulate.table import Key, Table

FAMILIES: dict[str, FamilyOfSeed] = {
    "crossing": crossing,
    "benign": benign,
    "noisy": noisy,
    "surrogate": Surrogate,
    "recorded": Recorded,
}

BUDGETS = {1: 100.0, 8: 25.0, 64: 25.0}
"""Seconds of each worker, by workers: 100, 200 and 1,600 epochs of the default config."""

FEW = 12
"""Searches of a strategy whose suggestion takes more than 20 ms."""

Found = tuple[dict[Rule, list[float]], int]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--searches", type=int, default=50)
    parser.add_argument("--family", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--workers", nargs="+", type=int, choices=list(BUDGETS), default=[1, 8])
    parser.add_argument("--arm", nargs="+", help="only strategies whose name contains one of these")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    arms = [name for name in ARMS if not asked.arm or any(part in name for part in asked.arm)]
    keys = [
        Key(family, workers, arm)
        for family in asked.family
        for workers in asked.workers
        for arm in arms
    ]
    table = Table()
    if asked.minutes > 0:
        fill(table, keys, asked.searches, 60 * asked.minutes, asked.processes)
    print(page.text(table))


def fill(table: Table, keys: Sequence[Key], searches: int, seconds: float, processes: int) -> None:
    """Add searches to the cells that have too few, the emptiest first, until the time is up."""
    until = time.monotonic() + seconds
    most = {key: min(searches, FEW) if key.arm in SLOW_ARMS else searches for key in keys}
    with ProcessPoolExecutor(processes) as pool:
        running: dict[Future[Found], Key] = {}
        while time.monotonic() < until:
            busy = set(running.values())
            # One search of a cell at a time: its seeds are added in order.
            short = [k for k in keys if table.cell(k).count < most[k] and k not in busy]
            while short and len(running) < processes:
                key = min(short, key=lambda each: table.cell(each).count)
                short.remove(key)
                running[pool.submit(play, key, table.cell(key).count)] = key
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                table.cell(running.pop(future)).add(*future.result())
        for future in wait(running).done:
            table.cell(running[future]).add(*future.result())
    table.write()


def play(key: Key, seed: int) -> Found:
    """Run one search; return its trajectories and how many trials it began."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    family = FAMILIES[key.family](seed)
    run = ARMS[key.arm](family, Conditions(seed, BUDGETS[key.workers], key.workers))
    trials = len({each.trial for each in run.measured})
    return {rule: trajectory(run, rule) for rule in RULES}, trials


if __name__ == "__main__":
    main()
