"""What to try next: parameters whose best value lies at an edge, and ranges around the best trials.

A suggestion, not a result: narrower ranges find a better value sooner where the best trials agree,
and miss it where they agree by chance.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reports.facts.importance import LEAST_RESULTS, describe_lack, rank_trials

_EDGE = 0.1
"""Share of a range at either end that counts as its edge."""
_WIDER = 0.25
"""Share of a range by which it is extended beyond an edge, and half of it the margin elsewhere."""
_LEAST_BEST = 6

Choice = str | int | float | bool | None


@dataclass(frozen=True)
class NewRange:
    """A range for the next search, with the one that there was; or the choices that are left."""

    parameter: str
    kind: str
    """`float`, `int` or `categorical`."""
    low: float = 0.0
    high: float = 0.0
    new_low: float = 0.0
    new_high: float = 0.0
    log: bool = False
    best: Any = None
    """The best trial's value."""
    edge: str = ""
    """`lower` or `upper`: where the best value lies, and most of the best trials' do."""
    choices: tuple[Choice, ...] = ()
    new_choices: tuple[Choice, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it is another range at all."""
        if self.kind == "categorical":
            return self.choices != self.new_choices
        return (self.low, self.high) != (self.new_low, self.new_high)

    def describe(self, *, new: bool) -> str:
        """Return the new or the old range for people."""
        if self.kind == "categorical":
            return " | ".join(map(str, self.new_choices if new else self.choices))
        low, high = (self.new_low, self.new_high) if new else (self.low, self.high)
        return f"{low:g} .. {high:g}{', log' if self.log else ''}"


@dataclass(frozen=True)
class NextRanges:
    """Ranges for the next search; empty with a reason."""

    ranges: tuple[NewRange, ...]
    best: int
    """Trials that they are drawn around."""
    results: int
    why_not: str = ""

    @property
    def edges(self) -> tuple[NewRange, ...]:
        """Those whose best value lies at an edge."""
        return tuple(each for each in self.ranges if each.edge)


def suggest_ranges(state: SearchState) -> NextRanges:
    """Return a range for every parameter, drawn around the best fifth of the trials."""
    ranked = [trial for trial in rank_trials(state) if trial.distributions]
    if len(ranked) < LEAST_RESULTS:
        return NextRanges((), 0, len(ranked), describe_lack(len(ranked)))
    best = ranked[: max(_LEAST_BEST, len(ranked) // 5)]
    # Of a search whose space was extended, the ranges of the newest trial are today's.
    names = dict.fromkeys(name for trial in ranked for name in trial.distributions)
    found = [_new_range(name, best, ranked) for name in names]
    return NextRanges(tuple(each for each in found if each), len(best), len(ranked))


def _new_range(
    name: str, best: Sequence[TrialRecord], ranked: Sequence[TrialRecord]
) -> NewRange | None:
    newest = max((t for t in ranked if name in t.distributions), key=lambda trial: trial.trial)
    distribution = json.loads(newest.distributions[name])
    extent, values = distribution["attributes"], [t.axes[name] for t in best if name in t.axes]
    if distribution["name"] == "CategoricalDistribution":
        return _fewer_choices(
            name, extent, values, [t.axes[name] for t in ranked if name in t.axes]
        )
    if len(values) < 3:  # a parameter of a branch that lost: its range does not matter
        return None
    kind = "int" if distribution["name"] == "IntDistribution" else "float"
    return _new_numbers(name, kind, extent, [float(value) for value in values])


def _fewer_choices(
    name: str, extent: Mapping[str, Any], values: Sequence[Any], tried: Sequence[Any]
) -> NewRange | None:
    """Leave out choices that the best trials have less than half as often as all trials."""
    if not values:
        return None
    choices = tuple(extent["choices"])
    kept = tuple(
        choice
        for choice in choices
        if choice == values[0]
        or values.count(choice) / len(values) >= 0.5 * tried.count(choice) / len(tried) > 0
    )
    return NewRange(name, "categorical", best=values[0], choices=choices, new_choices=kept)


def _new_numbers(
    name: str, kind: str, extent: Mapping[str, Any], values: Sequence[float]
) -> NewRange | None:
    low, high, log = float(extent["low"]), float(extent["high"]), bool(extent.get("log"))
    if not low < high:
        return None
    places = [_share_of_range(value, low, high, log) for value in values]
    edge = _find_edge(places)
    # Not from the first to the last: one of the best may be there for its other parameters.
    inner = sorted(places)[len(places) // 10 : len(places) - len(places) // 10]
    begin = max(0.0, min(inner[0], places[0]) - _WIDER / 2)
    end = min(1.0, max(inner[-1], places[0]) + _WIDER / 2)
    begin, end = (-_WIDER if edge == "lower" else begin), (1 + _WIDER if edge == "upper" else end)
    new_low, new_high = (_value_at(place, low, high, log) for place in (begin, end))
    if low >= 0:
        new_low = max(new_low, 0.0)  # what has no negative values in its range has none at all
    new_low, new_high = _round(new_low, kind, low), _round(new_high, kind, high)
    return NewRange(
        name, kind, low, high, new_low, new_high, log,
        int(values[0]) if kind == "int" else values[0], edge,
    )  # fmt: skip


def _find_edge(places: Sequence[float]) -> str:
    """Return the edge at which the best value lies, if the middle one of the best does too."""
    middle = sorted(places)[len(places) // 2]
    if places[0] <= _EDGE and middle <= 2 * _EDGE:
        return "lower"
    return "upper" if places[0] >= 1 - _EDGE and middle >= 1 - 2 * _EDGE else ""


def _share_of_range(value: float, low: float, high: float, log: bool) -> float:
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _value_at(place: float, low: float, high: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    return low + place * (high - low)


def _round(value: float, kind: str, end: float) -> float:
    """Return the value with two digits; the old end where it has not moved."""
    if math.isclose(value, end, rel_tol=1e-9, abs_tol=1e-12):
        return end
    return float(round(value)) if kind == "int" else float(f"{value:.2g}")
