"""Configs that were trained with several seeds: how far apart their results are."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from search.ledger.trial import TrialRecord


@dataclass(frozen=True)
class SeedSpread:
    """One config, trained more than once; the trials compared after equally many epochs."""

    trials: tuple[str, ...]
    epoch: int
    """The last that all of them have a usable result of."""
    eers: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean dev EER, a fraction."""
        return statistics.fmean(self.eers)

    @property
    def deviation(self) -> float:
        """Standard deviation of the dev EER over seeds (n - 1)."""
        return statistics.stdev(self.eers)


def find_seed_spreads(trials: Iterable[TrialRecord]) -> list[SeedSpread]:
    """Return the configs of which several seeds have a result, lowest mean first."""
    groups: dict[str, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        if trial.best() is not None and "seed" in trial.config:
            groups[_without_seed(trial.config)].append(trial)
    spreads = [_compare(group) for group in groups.values() if len(group) > 1]
    return sorted((each for each in spreads if each is not None), key=lambda each: each.mean)


def _without_seed(config: dict[str, Any]) -> str:
    return json.dumps(
        {key: entry for key, entry in config.items() if key != "seed"}, sort_keys=True
    )


def _compare(group: list[TrialRecord]) -> SeedSpread | None:
    usable = [{e for e, report in t.reports.items() if report.objective <= 1} for t in group]
    common = set.intersection(*usable)
    if not common or len({trial.config["seed"] for trial in group}) < 2:
        return None
    epoch = max(common)
    return SeedSpread(
        tuple(trial.trial for trial in group), epoch, tuple(trial.at(epoch) for trial in group)
    )
