"""Measure what it costs and gains that the sampler models many trials, not all.

python -m bench.modelled [--trials N] [--seeds N] [--most M ...]

Simulated searches (`bench.support.simulated_cluster`) of one formula after the other, each with
every bound on the trials that are modelled (`search.sampler.history.MOST_MODELLED`). How good a
config is, is known without noise: the EER of the formula above the lowest there is, in points of
percent.
"""

import argparse
import logging
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from unittest import mock

import numpy as np

from bench.support.simulated_cluster import Simulation
from search.sampler import history


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.modelled", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--most", type=int, nargs="+", default=[250, 500, 1000, 10**9])
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    print(f"{asked.trials} trials on {asked.slots} slots, {asked.seeds} formulas; means")
    print("modelled    suggestion, ms    regret of the best    of the last half's median trial")
    with ProcessPoolExecutor(asked.workers) as pool:
        runs = [(seed, most) for most in asked.most for seed in range(asked.seeds)]
        seeds, bounds = zip(*runs, strict=True)
        found = list(pool.map(_search, seeds, bounds, repeat(asked.trials), repeat(asked.slots)))
    for most in asked.most:
        mine = np.array([each for (_, m), each in zip(runs, found, strict=True) if m == most])
        print(_row("all" if most >= asked.trials else str(most), mine), flush=True)


def _row(name: str, found: np.ndarray) -> str:
    half = 1.96 * found.std(axis=0, ddof=1) / len(found) ** 0.5
    cells = [f"{mean:.3f} +- {off:.3f}" for mean, off in zip(found.mean(axis=0), half, strict=True)]
    return f"{name:9}" + "".join(f"{cell:>22}" for cell in cells)


def _search(seed: int, most: int, trials: int, slots: int) -> tuple[float, float, float]:
    """Return median milliseconds a suggestion in the last half, and two regrets: best, median."""
    logging.disable(logging.WARNING)
    bounded = mock.patch.object(history, "MOST_MODELLED", most)
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, bounded:
        search = Simulation(Path(folder), trials, slots, 9, seed)
        search.run()
        search.close()
        late = [took for count, took in search.measured.suggest if count >= trials / 2]
        records = list(search.state.trials.values())[trials // 2 :]
        eers = [search.truth.dev_eer(trial.axes) - search.truth.floor for trial in records]
        return 1000 * float(np.median(late)), 100 * search.regret(), 100 * float(np.median(eers))


def _memory() -> str | None:
    """Return a folder in memory, if there is one: no disk is measured here."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    main()
