"""Locate configs, and trials of other spaces, in a space: find the answers that lead to them.

A space is run with a stand-in for Optuna's trial that gives known answers. Neither Optuna nor torch
is loaded.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.core.config_differences import find_differences
from search.space.branches import Choice, Range, Space
from spkmodel.config import TrainConfig

_SWEEPS = 4
"""Times that all axes are tried; an axis may need the right value of another first."""


@dataclass
class KnownAnswersTrial:
    """Stands in for Optuna's trial and gives the known answers where they fit."""

    known: Mapping[str, Any]
    asked: dict[str, Range] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    """By axis; where nothing is known, the middle of the range or the first choice."""
    misfits: dict[str, str] = field(default_factory=dict)
    """By axis, why its known answer does not fit."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._answer(name, Range("float", float(low), float(high), step, log)))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return int(self._answer(name, Range("int", low, high, step, log)))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Choice:
        answer: Choice = self._answer(name, Range("categorical", choices=tuple(choices)))
        return answer

    def _answer(self, name: str, extent: Range) -> Any:
        self.asked[name] = extent
        middle = extent.choices[0] if extent.choices else extent.value_at("middle")
        answer = self.known.get(name, middle)
        if name in self.known and not fits(answer, extent):
            self.misfits[name] = f"{name}={answer} is none of {extent.format()}"
            answer = middle
        self.answers[name] = answer
        return answer


@dataclass(frozen=True)
class LocatedPoint:
    """A point of a space, or the reasons why there is none."""

    axes: dict[str, Any]
    """The known answers, of the axes that the space asks for."""
    ranges: dict[str, Range]
    """Of all axes that the space asks for there."""
    missing: tuple[str, ...]
    """Axes that the space asks for and whose answer is not known."""
    misfits: tuple[str, ...]
    """Why the point does not lie in the space; empty if it does."""


def fits(answer: Any, extent: Range) -> bool:
    """Return whether an axis of this range may have this value."""
    if extent.kind == "categorical":
        return any(answer == c and isinstance(answer, bool) == isinstance(c, bool)
                   for c in extent.choices)  # fmt: skip
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return False
    if not extent.low <= answer <= extent.high or (extent.kind == "int" and answer != int(answer)):
        return False
    if extent.step is None:
        return True
    steps = (answer - extent.low) / extent.step
    return math.isclose(steps, round(steps), abs_tol=1e-6)


def locate_axes(space: Space, axes: Mapping[str, Any]) -> LocatedPoint:
    """Return the point with the answers of another space, or of an earlier version of this one."""
    trial = KnownAnswersTrial(axes)
    try:
        space.function(trial)
    except ValueError as error:
        trial.misfits[""] = str(error)
    return LocatedPoint(
        {name: trial.answers[name] for name in trial.asked if name in axes},
        trial.asked,
        tuple(name for name in trial.asked if name not in axes),
        tuple(trial.misfits.values()),
    )


def locate_config(
    space: Space, config: TrainConfig, near: Mapping[str, Any] | None = None
) -> LocatedPoint:
    """Return the point at which the space returns a config, whatever its seed.

    A coordinate search: one axis after the other gets the value that leaves the fewest fields
    different, until no field is or nothing helps; the fields that are then left are the misfits.
    This finds an axis that decides fields of its own, or several together. An axis that only has a
    meaning with the right value of another is found in a later sweep.

    Args:
        space: run many times.
        config: to be returned by the space.
        near: answers to begin with, such as those of a similar config.
    """
    target = config.model_dump(mode="json")
    target.pop("seed")
    here = _Guess(space, target, dict(near or {}))
    for _ in range(_SWEEPS):
        before = here
        for name in list(here.trial.asked):
            here = min([here, *here.neighbours(name)], key=lambda guess: len(guess.differences))
            if not here.differences:
                break
        if not here.differences or here is before:
            break
    misfits = tuple(map(_describe_difference, here.differences))
    return LocatedPoint(dict(here.trial.answers), dict(here.trial.asked), (), misfits)


class _Guess:
    """Some answers, and the fields in which their config differs from the target."""

    def __init__(self, space: Space, target: dict[str, Any], answers: dict[str, Any]) -> None:
        self._space, self._target = space, target
        self.trial = KnownAnswersTrial(answers)
        self.differences: list[tuple[str, Any, Any]]
        try:
            made = space.function(self.trial).model_dump(mode="json")
        except ValueError:
            # Not every combination of answers is a config; this one must lose against all that are.
            self.differences = [(key, None, value) for key, value in target.items()] * len(target)
            return
        made.pop("seed")
        self.differences = find_differences(made, target)

    def neighbours(self, name: str) -> Iterator["_Guess"]:
        """Yield guesses with another answer to one axis, of those that might be right."""
        if name not in self.trial.asked:
            return
        extent = self.trial.asked[name]
        wanted = extent.choices or {value for _, _, value in self.differences if _is_number(value)}
        for answer in wanted:
            if fits(answer, extent) and answer != self.trial.answers[name]:
                yield _Guess(self._space, self._target, {**self.trial.answers, name: answer})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _describe_difference(difference: tuple[str, Any, Any]) -> str:
    key, here, there = difference
    return f"{key} would be {here}, not {there}"


# --- distance --------------------------------------------------------------------------------


def distance(first: LocatedPoint, second: LocatedPoint) -> float:
    """Return how different two points are, from 0 to 1: the mean over all axes that either has.

    Numbers are as far apart as they lie in their range (in its logarithm, where it has one),
    choices 0 or 1; an axis that only one of them has counts 1 (Gower 1971).
    """
    names = first.axes.keys() | second.axes.keys()
    if not names:
        return 0.0
    return sum(_axis_distance(name, first, second) for name in names) / len(names)


def _axis_distance(name: str, first: LocatedPoint, second: LocatedPoint) -> float:
    if name not in first.axes or name not in second.axes:
        return 1.0
    extent, here, there = first.ranges[name], first.axes[name], second.axes[name]
    if extent.kind == "categorical":
        return float(here != there)
    if extent.low == extent.high:
        return 0.0
    scale = math.log if extent.log else float
    return abs(scale(here) - scale(there)) / (scale(extent.high) - scale(extent.low))
