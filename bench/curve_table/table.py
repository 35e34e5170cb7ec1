"""The table as a file: one row an epoch of a training, in Parquet."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.curve_table.space import EPOCHS

PATH = Path(__file__).parent / "curves.parquet"
"""The table that is published."""

CONDITIONS = ("clean", "mismatched")


@dataclass(frozen=True)
class Training:
    """One training of the table."""

    config: int
    seed: int
    axes: dict[str, Any]
    failure: str
    """Why it has fewer epochs than the others; empty if it does not."""
    epochs: pd.DataFrame
    """One row an epoch, rising from 1."""

    @property
    def is_whole(self) -> bool:
        """Whether it was trained to its end."""
        return len(self.epochs) == EPOCHS


def collect(folder: Path, path: Path = PATH) -> int:
    """Write the results in a folder as one table; return the number of trainings."""
    rows: list[dict[str, Any]] = []
    files = sorted(folder.glob("c*-s*.json"))
    for file in files:
        rows += _rows(json.loads(file.read_text(encoding="utf-8")))
    frame = pd.DataFrame(rows)
    floats = frame.select_dtypes("float64").columns
    frame[floats] = frame[floats].astype("float32")
    frame.to_parquet(path, index=False, compression="zstd")
    return len(files)


def _rows(found: dict[str, Any]) -> Iterable[dict[str, Any]]:
    same = {
        "config": found["config"],
        "seed": found["seed"],
        "axes": json.dumps(found["axes"], sort_keys=True),
        "signature": found["signature"],
        "parameters": found["parameters"],
        "pairs": found["pairs"],
        "failure": found["failure"],
    }
    # A training that failed in its first epoch has a row, too: epoch 0, without figures.
    if not found["epochs"]:
        return [same | {"epoch": 0}]
    return [same | {"epoch": number} | each for number, each in enumerate(found["epochs"], 1)]


def read(path: Path = PATH) -> list[Training]:
    """Return the trainings of the table, by config and seed."""
    frame = pd.read_parquet(path)
    trainings = []
    for (config, seed), rows in frame.groupby(["config", "seed"], sort=True):
        first = rows.iloc[0]
        epochs = rows[rows["epoch"] > 0].sort_values("epoch").reset_index(drop=True)
        trainings.append(
            Training(int(config), int(seed), json.loads(first["axes"]), first["failure"], epochs)
        )
    return trainings


def check(path: Path = PATH) -> list[str]:
    """Return what is wrong with the table; empty if nothing is."""
    from bench.curve_table import train

    wrong = []
    trainings = {(each.config, each.seed): each for each in read(path)}
    missing = [run for run in train.planned() if (run.config, run.seed) not in trainings]
    if missing:
        wrong.append(f"{len(missing)} trainings are missing, the first is {missing[0].file}")
    for (config, seed), each in trainings.items():
        axes, _ = train.draw(config)
        name = f"config {config}, seed {seed}"
        if axes != each.axes:
            wrong.append(f"{name}: the space gives other answers than the table has")
        if not each.is_whole and not each.failure:
            wrong.append(f"{name}: {len(each.epochs)} epochs and no reason")
        if list(each.epochs["epoch"]) != list(range(1, len(each.epochs) + 1)):
            wrong.append(f"{name}: its epochs are not 1, 2, 3 ...")
        eers = each.epochs[[f"{condition}_eer" for condition in CONDITIONS]].to_numpy()
        if not (np.isfinite(eers).all() and (eers >= 0).all() and (eers <= 1).all()):
            wrong.append(f"{name}: an EER is not between 0 and 1")
    return wrong
