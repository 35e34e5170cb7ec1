"""Draw which fault is injected in which round, from a seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.chaos.faults.catalogue import FAULTS

Record = dict[str, Any]
"""What is kept of a round, as a line of `bench/results/chaos-SEED.jsonl`."""


@dataclass(frozen=True)
class Round:
    """One round of a schedule: a fault, and its number among the rounds of that fault."""

    fault: str
    number: int


def draw_rounds(rounds: int, seed: int, names: list[str] | None = None) -> list[Round]:
    """Return rounds in an order drawn from the seed: as many of each fault as asked for.

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


def generator_for(seed: int, this: Round) -> np.random.Generator:
    """Return the generator of a round: the same however many rounds came before."""
    return np.random.default_rng([seed, this.number, *this.fault.encode()])
