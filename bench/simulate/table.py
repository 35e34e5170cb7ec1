"""The stored table of simulated searches: a cell for each family, strategy and cluster."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.simulate.measures import RULES, STEPS, Rule

PATH = Path(__file__).parents[1] / "results" / "simulate.json"

AT = (STEPS // 4 - 1, STEPS // 2 - 1, STEPS - 1)
"""Places of a trajectory at 25, 50 and 100 % of the budget."""


@dataclass(frozen=True, order=True)
class Key:
    """What the searches of a cell have in common."""

    family: str
    workers: int
    arm: str

    @property
    def text(self) -> str:
        """The key in the file."""
        return f"{self.family} | {self.workers} | {self.arm}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Return the key that a text of the file stands for."""
        family, workers, arm = text.split(" | ")
        return cls(family, int(workers), arm)


@dataclass
class Cell:
    """The searches of one key, with seeds 0, 1, 2 ... in order."""

    mean: dict[Rule, list[float]] = field(
        default_factory=lambda: {rule: [0.0] * STEPS for rule in RULES}
    )
    """True EER of the incumbent, mean over the searches, at equal steps of the budget."""
    at: dict[Rule, list[list[float]]] = field(default_factory=lambda: {rule: [] for rule in RULES})
    """Of each search: the same at 25, 50 and 100 %."""
    trials: list[int] = field(default_factory=list)
    milliseconds: float = 0.0
    """Median time of a decision of the strategy, as measured; other work may slow it down."""

    @property
    def count(self) -> int:
        """How many searches there are."""
        return len(self.trials)

    def add(self, trajectories: dict[Rule, list[float]], trials: int) -> None:
        """Add the next search."""
        for rule in RULES:
            mean, added = np.array(self.mean[rule]), np.array(trajectories[rule])
            self.mean[rule] = list(np.round(mean + (added - mean) / (self.count + 1), 7))
            self.at[rule].append([round(trajectories[rule][place], 5) for place in AT])
        self.trials.append(trials)

    def final(self, rule: Rule) -> np.ndarray:
        """Return the true EER at the end of every search."""
        return np.array([each[-1] for each in self.at[rule]])


class Table:
    """All cells, read from a file and written back whole."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self.cells: dict[Key, Cell] = {}
        if path.exists():
            for text, fields in json.loads(path.read_text(encoding="utf-8")).items():
                self.cells[Key.parse(text)] = Cell(**fields)

    def cell(self, key: Key) -> Cell:
        """Return a cell; an empty one where there is none yet."""
        return self.cells.setdefault(key, Cell())

    def write(self) -> None:
        """Write the file, whole or not at all."""
        fields: dict[str, Any] = {
            key.text: vars(cell) for key, cell in sorted(self.cells.items()) if cell.count
        }
        beside = self._path.with_suffix(f".{os.getpid()}.part")
        lines = (
            f"{json.dumps(text)}: {json.dumps(each, separators=(',', ':'))}"
            for text, each in fields.items()
        )
        beside.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        beside.replace(self._path)

    def families(self) -> Iterator[tuple[str, int]]:
        """Yield each family with each number of workers that has a search."""
        yield from sorted({(key.family, key.workers) for key, c in self.cells.items() if c.count})
