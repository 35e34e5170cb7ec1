"""Configs and other spaces' trials as points of a space: by which answers it would return them.

A space is run with a stand-in that answers from what is known. Neither Optuna nor torch is loaded.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.core.config_differences import differences
from search.space.branches import Choice, Range, Space
from spkmodel.config import TrainConfig

_SWEEPS = 4


@dataclass
class RecordedTrial:
    """Stands in for Optuna's trial: answers with what is known where that fits."""

    known: Mapping[str, Any]
    asked: dict[str, Range] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    """To everything: the middle of a range, or the first choice, where nothing is known."""
    misfits: dict[str, str] = field(default_factory=dict)
    """What is known and does not fit, and why not."""

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
        middle = extent.choices[0] if extent.choices else extent.at("middle")
        answer = self.known.get(name, middle)
        if name in self.known and not fits(answer, extent):
            self.misfits[name] = f"{name}={answer} is none of {extent.text()}"
            answer = middle
        self.answers[name] = answer
        return answer


@dataclass(frozen=True)
class Place:
    """Where something lies in a space."""

    axes: dict[str, Any]
    """The answers that are known, of those that the space asks for."""
    ranges: dict[str, Range]
    """Of all axes that it asks for there."""
    missing: tuple[str, ...]
    """Axes that are asked for and not known."""
    misfits: tuple[str, ...]
    """Why it does not lie there; empty if it does."""


def fits(answer: Any, extent: Range) -> bool:
    """Whether an axis of this range may have this value."""
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


def placed(space: Space, axes: Mapping[str, Any]) -> Place:
    """Where the answers of another space, or of an earlier form of this one, lie."""
    follower = RecordedTrial(axes)
    try:
        space.function(follower)
    except ValueError as error:
        follower.misfits[""] = str(error)
    return Place(
        {name: follower.answers[name] for name in follower.asked if name in axes},
        follower.asked,
        tuple(name for name in follower.asked if name not in axes),
        tuple(follower.misfits.values()),
    )


def located(space: Space, config: TrainConfig, near: Mapping[str, Any] | None = None) -> Place:
    """Where a config lies: the answers with which the space returns it, whatever its seed.

    One axis after the other is given the value that leaves the fewest fields different, until none
    is or nothing helps; what is then left is told as misfits. So an axis is found that decides
    fields of its own, or several together; one that only has a meaning with another's right value
    is found in a later sweep.

    Args:
        space: asked again and again.
        config: to be returned.
        near: answers to begin with, such as those of a similar config.
    """
    target = config.model_dump(mode="json")
    target.pop("seed")
    here = _Guess(space, target, dict(near or {}))
    for _ in range(_SWEEPS):
        before = here
        for name in list(here.follower.asked):
            here = min([here, *here.neighbours(name)], key=lambda guess: len(guess.left))
            if not here.left:
                break
        if not here.left or here is before:
            break
    follower = here.follower
    return Place(dict(follower.answers), dict(follower.asked), (), tuple(map(_words, here.left)))


class _Guess:
    """Some answers, and the fields in which what the space makes of them is not the target."""

    def __init__(self, space: Space, target: dict[str, Any], answers: dict[str, Any]) -> None:
        self._space, self._target = space, target
        self.follower = RecordedTrial(answers)
        self.left: list[tuple[str, Any, Any]]
        try:
            made = space.function(self.follower).model_dump(mode="json")
        except ValueError:  # not every combination of answers is a config
            self.left = [(key, None, value) for key, value in target.items()] * len(target)
            return
        made.pop("seed")
        self.left = differences(made, target)

    def neighbours(self, name: str) -> Iterator["_Guess"]:
        """With another answer to one axis, of those that might be right."""
        if name not in self.follower.asked:
            return
        extent = self.follower.asked[name]
        wanted = extent.choices or {value for _, _, value in self.left if _is_number(value)}
        for answer in wanted:
            if fits(answer, extent) and answer != self.follower.answers[name]:
                yield _Guess(self._space, self._target, {**self.follower.answers, name: answer})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(difference: tuple[str, Any, Any]) -> str:
    key, here, there = difference
    return f"{key} would be {here}, not {there}"


# --- distance --------------------------------------------------------------------------------


def distance(one: Place, other: Place) -> float:
    """How different two points are, from 0 to 1: the mean over all axes that either knows.

    Numbers are as far apart as they lie in their range (in its logarithm, where it has one),
    choices 0 or 1; an axis that only one of them has counts 1 (Gower 1971).
    """
    names = one.axes.keys() | other.axes.keys()
    if not names:
        return 0.0
    return sum(_apart(name, one, other) for name in names) / len(names)


def _apart(name: str, one: Place, other: Place) -> float:
    if name not in one.axes or name not in other.axes:
        return 1.0
    extent, here, there = one.ranges[name], one.axes[name], other.axes[name]
    if extent.kind == "categorical":
        return float(here != there)
    if extent.low == extent.high:
        return 0.0
    scale = math.log if extent.log else float
    return abs(scale(here) - scale(there)) / (scale(extent.high) - scale(extent.low))
