"""What a simulated search was worth: the true EER of the trial that its user would take."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench.simulate.clock import Measurement, Run

Rule = Literal["rung", "last"]
"""Which trial a user takes. rung: the lowest EER at the highest rung that any trial has reached.
last: the lowest last EER of any trial, however short its training."""

RULES: tuple[Rule, ...] = ("rung", "last")

STEPS = 40
"""Points of the budget at which an incumbent is looked up."""


def trajectory(run: Run, rule: Rule) -> list[float]:
    """Return the true EER of the incumbent at each of `STEPS` equal parts of the budget.

    Before the first measurement it is that of chance, 0.5.
    """
    found, seen = [], 0
    measured: list[Measurement] = []
    for step in range(1, STEPS + 1):
        until = run.budget * step / STEPS
        while seen < len(run.measured) and run.measured[seen].second <= until:
            measured.append(run.measured[seen])
            seen += 1
        incumbent = _INCUMBENTS[rule](measured, run.rungs)
        found.append(0.5 if incumbent is None else incumbent.true)
    return found


def _at_highest_rung(measured: Sequence[Measurement], rungs: Sequence[int]) -> Measurement | None:
    at_rungs = [each for each in measured if each.epoch in rungs]
    if not at_rungs:
        return min(measured, key=lambda each: each.seen, default=None)
    highest = max(each.epoch for each in at_rungs)
    return min((each for each in at_rungs if each.epoch == highest), key=lambda each: each.seen)


def _lowest_last(measured: Sequence[Measurement], _: Sequence[int]) -> Measurement | None:
    last = {each.trial: each for each in measured}
    return min(last.values(), key=lambda each: each.seen, default=None)


_INCUMBENTS = {"rung": _at_highest_rung, "last": _lowest_last}


def compute_to_reach(ours: Sequence[float], goal: float) -> float:
    """Return the share of the budget after which a mean trajectory stays at or below a goal.

    Infinite if it never does.
    """
    below = np.asarray(ours) <= goal
    if not below[-1]:
        return float("inf")
    above = np.flatnonzero(~below)
    return float((above[-1] + 2 if len(above) else 1) / len(below))
