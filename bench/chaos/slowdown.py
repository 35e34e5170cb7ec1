"""Measure how much longer an epoch takes while a service is away, within one search.

Compared is the time from the beginning of an epoch to the beginning of the next one of the same
segment: training, checkpoint, the way to the driver, its ledger, the way back. Between segments a
slot may wait for the rule, and the first epoch of a process loads what it needs: both are left out.
What it is compared with is the same search just before and just after, so that what drifts (the
load of the machine, a sampler with more to model) weighs on both sides.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Phase = tuple[float, float]
"""Its beginning and its end, by the monotonic clock, which all processes share."""

BEFORE, AWAY, CATCHING_UP, AFTER = "before", "away", "catching_up", "after"

_FEWEST = 30
"""Epochs of a phase that say something."""
_BLOCK = 10
"""Epochs that are drawn together: neighbours in time share the machine's load."""
_REPEATS = 4000


@dataclass(frozen=True)
class Gap:
    """The time from the beginning of an epoch to that of the next."""

    begin: float
    seconds: float


def calm_seconds(outage_seconds: float) -> float:
    """Return how long the search is measured before an outage, and again after it."""
    return min(outage_seconds, 180.0)


def gaps(epoch_log: Iterable[list[Any]], rungs: Collection[int]) -> list[Gap]:
    """Return the gaps between epochs of the same segment.

    Args:
        epoch_log: of each epoch begun signature, number, process and moment, in order.
        rungs: where segments end.
    """
    found = []
    last: dict[int, tuple[str, int, float]] = {}
    warm: set[int] = set()
    for signature, epoch, pid, moment in epoch_log:
        before = last.get(pid)
        goes_on = before is not None and before[:2] == (signature, epoch - 1)
        if before is not None and goes_on and pid in warm and epoch - 1 not in rungs:
            found.append(Gap(before[2], moment - before[2]))
        if before is not None:
            warm.add(pid)
        last[pid] = (signature, epoch, moment)
    return found


def slowing(found: Iterable[Gap], phases: Mapping[str, Phase]) -> dict[str, Any] | None:
    """Return by which share an epoch takes longer in the outage; None with too few epochs.

    `low` and `high` hold 95 % of the means of epochs drawn again, in blocks (bootstrap).
    """
    ordered = sorted(found, key=lambda gap: gap.begin)
    within = {
        name: np.array([gap.seconds for gap in ordered if begin <= gap.begin < end])
        for name, (begin, end) in phases.items()
    }
    calm = [within[name] for name in (BEFORE, AFTER) if len(within.get(name, ())) >= _FEWEST]
    away = within.get(AWAY, np.zeros(0))
    if not calm or len(away) < _FEWEST:
        return None
    rng = np.random.default_rng(0)
    usual = float(np.mean([each.mean() for each in calm]))
    drawn = _means(away, rng) / np.mean([_means(each, rng) for each in calm], axis=0) - 1
    low, high = np.quantile(drawn, [0.025, 0.975])
    medians = float(np.mean([np.median(each) for each in calm]))
    result = {
        "mean": float(away.mean()) / usual - 1,
        "low": float(low),
        "high": float(high),
        "median": float(np.median(away)) / medians - 1,
        "epoch_seconds": usual,
    }
    if len(late := within.get(CATCHING_UP, np.zeros(0))) >= _FEWEST:
        result["catching_up"] = float(late.mean()) / usual - 1
    rounded = {name: round(value, 5) for name, value in result.items()}
    return rounded | {"epochs": {name: len(each) for name, each in within.items()}}


def _means(values: Any, rng: np.random.Generator) -> Any:
    """Return means of blocks that are drawn with replacement."""
    blocks = np.array_split(values, max(1, len(values) // _BLOCK))
    sums, counts = np.array([(block.sum(), len(block)) for block in blocks]).T
    picks = rng.integers(len(blocks), size=(_REPEATS, len(blocks)))
    return sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
