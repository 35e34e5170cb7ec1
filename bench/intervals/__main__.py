"""Measure coverage of the EER's interval, and how often equal systems are called different.

python -m bench.intervals --lists 1000
python -m bench.intervals --lists 1000 --bootstrap   # the speaker bootstrap beside it, slower

Adds what is missing to bench/results/intervals.json, and prints all of it.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.intervals.lists import SimulatedList, simulate
from spkmodel.verification import bootstrap, intervals, metrics

RESULTS = Path(__file__).parents[1] / "results" / "intervals.json"
SPEAKERS = (5, 6, 8, 10, 15, 20, 40, 100, 200)
EERS = (0.02, 0.05, 0.15, 0.3)
_REPLICATES = 200

Bounds = tuple[float | None, float | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--lists", type=int, default=400, help="simulated lists in each cell")
    parser.add_argument("--bootstrap", action="store_true", help="measure the bootstrap")
    given = parser.parse_args()
    method = "bootstrap" if given.bootstrap else "influence"
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for speakers, dense, eer in _cells():
        name = f"{method} {speakers} {'dense' if dense else 'sparse'} {eer:g}"
        if stored.get(name, {}).get("lists", 0) < given.lists:
            stored[name] = measure(method, speakers, eer, dense=dense, lists=given.lists)
            RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
        print(f"{name:30} {_format(stored[name])}", flush=True)


def _cells() -> Iterator[tuple[int, bool, float]]:
    return ((n, dense, eer) for n in SPEAKERS for dense in (False, True) for eer in EERS)


def measure(method: str, speakers: int, eer: float, *, dense: bool, lists: int) -> dict[str, Any]:
    """Return what share of simulated lists the intervals are right in."""
    of_one, of_two = _METHODS[method]
    rng = np.random.default_rng([speakers, dense, round(1000 * eer)])
    covered, rejected, found, without_errors, widths = 0, 0, 0, 0, []
    for _ in range(lists):
        drawn = simulate(rng, speakers, eer, dense=dense)
        low, high = of_one(drawn, drawn.scores)
        assert low is not None
        assert high is not None
        covered += low <= eer <= high
        widths.append(high - low)
        without_errors += metrics.eer(drawn.scores, drawn.targets) == 0
        rejected += _excludes_zero(of_two(drawn, drawn.equal[0], drawn.equal[1]))
        found += _excludes_zero(of_two(drawn, drawn.equal[0], drawn.better))
    return {
        "lists": lists,
        "coverage": covered / lists,
        "null_rejected": rejected / lists,
        "power": found / lists,
        "mean_width": float(np.mean(widths)),
        "without_errors": without_errors / lists,
    }


def _excludes_zero(bounds: Bounds) -> bool:
    low, high = bounds
    return low is not None and high is not None and not low <= 0 <= high


def _influence(drawn: SimulatedList, scores: np.ndarray) -> Bounds:
    found = intervals.eer_interval(scores, drawn.targets, drawn.enrol, drawn.test)
    return found.low, found.high


def _influence_of_two(drawn: SimulatedList, one: np.ndarray, other: np.ndarray) -> Bounds:
    found = intervals.difference_interval(one, other, drawn.targets, drawn.enrol, drawn.test)
    return found.low, found.high


def _bootstrap(drawn: SimulatedList, scores: np.ndarray) -> Bounds:
    found = bootstrap.bootstrap_eer(
        scores, drawn.targets, drawn.enrol, drawn.test, replicates=_REPLICATES
    )
    return found.low, found.high


def _bootstrap_of_two(drawn: SimulatedList, one: np.ndarray, other: np.ndarray) -> Bounds:
    found = bootstrap.paired_bootstrap(
        one, other, drawn.targets, drawn.enrol, drawn.test, replicates=_REPLICATES
    )
    return found.low, found.high


_METHODS: dict[str, tuple[Callable[..., Bounds], Callable[..., Bounds]]] = {
    "influence": (_influence, _influence_of_two),
    "bootstrap": (_bootstrap, _bootstrap_of_two),
}


def _format(cell: dict[str, Any]) -> str:
    return (
        f"{cell['lists']} lists: coverage {100 * cell['coverage']:5.1f} %, equal systems called "
        f"different {100 * cell['null_rejected']:4.1f} %, a better one {100 * cell['power']:5.1f} "
        f"%, mean width {100 * cell['mean_width']:5.1f} points, no error in "
        f"{100 * cell['without_errors']:.0f} %"
    )


if __name__ == "__main__":
    main()
