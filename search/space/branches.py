"""Run a space with a stand-in for Optuna's trial, along its combinations of categorical choices.

The stand-in answers by plan and writes down what it was asked; numeric axes are put at their low
ends, middles or high ends. Neither Optuna nor torch is loaded. All combinations are walked where
they are no more than `MOST_BRANCHES`; of more, a selection in which every two choices meet
(`search.space.pairwise`).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from search.core.errors import UsageError
from search.core.validation_messages import describe_validation_error
from search.space import pairwise
from spkmodel.config import TrainConfig

Choice = str | int | float | bool | None
Position = Literal["low", "middle", "high"]

MOST_BRANCHES = 20_000

_NO_AXES = re.compile(r"(?:.*_)?seed|epochs?|max_epochs|fidelity")


@dataclass(frozen=True)
class Space:
    """A question, as a function that asks and returns a config."""

    name: str
    function: Callable[[Any], TrainConfig]
    question: str
    """First line of the file's docstring."""
    path: Path
    sha256: str
    """Of the file."""


@dataclass(frozen=True)
class Range:
    """What an axis may be."""

    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[Choice, ...] = ()

    def text(self) -> str:
        """For people: `1e-4 .. 1e-2, log` or the choices."""
        if self.kind == "categorical":
            return " | ".join(str(choice) for choice in self.choices)
        steps = self.step is not None and (self.kind == "float" or self.step != 1)
        notes = [f"step {self.step:g}"] if steps else []
        notes += ["log"] if self.log else []
        return ", ".join([f"{self.low:g} .. {self.high:g}", *notes])

    def at(self, position: Position) -> float:
        """An end or the middle of a numeric range."""
        if position != "middle":
            return self.low if position == "low" else self.high
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        if self.step is not None:
            middle = self.low + round((middle - self.low) / self.step) * self.step
        return round(middle) if self.kind == "int" else middle


@dataclass
class Recorder:
    """Stands in for Optuna's trial: answers by plan, and writes down what was asked."""

    plan: Mapping[str, int]
    """Index of the choice by categorical axis; the first where nothing is planned."""
    position: Position
    asked: dict[str, Range] = field(default_factory=dict)
    answers: dict[str, Choice] = field(default_factory=dict)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        extent = Range("float", float(low), float(high), step, log)
        self._note(name, extent)
        return extent.at(self.position)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        extent = Range("int", low, high, step, log)
        self._note(name, extent)
        return int(extent.at(self.position))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Choice:
        self._note(name, Range("categorical", choices=tuple(choices)))
        answer = choices[self.plan.get(name, 0)]
        self.answers[name] = answer
        return answer

    def _note(self, name: str, extent: Range) -> None:
        if _NO_AXES.fullmatch(name):
            raise ValueError(f"axis {name!r}: neither a seed nor the fidelity may be an axis")
        _check_range(name, extent)
        before = self.asked.setdefault(name, extent)
        if before != extent:
            raise ValueError(_two_ranges(name, before, extent))


def fewest(space: Space) -> int:
    """A lower bound of the number of combinations, from the first of them."""
    _, recorder = build(space, {}, "middle")
    return math.prod(len(recorder.asked[name].choices) for name in recorder.answers)


def enumerate_branches(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, Recorder]]:
    """Branches with the numbers in the middle, each with the plan that leads there."""
    known: dict[str, Range] = {}
    first: TrainConfig | None = None
    for plan, config, recorder in _selection(space):
        first = config if first is None else first
        check_seed(space, first, config)
        for name, extent in recorder.asked.items():
            before = known.setdefault(name, extent)
            if before != extent:
                raise UsageError(f"space {space.name!r}: {_two_ranges(name, before, extent)}")
        yield plan, config, recorder


def _plans(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, Recorder]]:
    """Like counting up, where which digits there are depends on earlier ones."""
    plan: dict[str, int] = {}
    while True:
        config, recorder = build(space, plan, "middle")
        yield plan, config, recorder
        met = [(n, len(recorder.asked[n].choices), plan.get(n, 0)) for n in recorder.answers]
        while met and met[-1][2] + 1 == met[-1][1]:
            met.pop()
        if not met:
            return
        name, _, index = met.pop()
        plan = {earlier: at for earlier, _, at in met} | {name: index + 1}


def _selection(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, Recorder]]:
    """All, or where they turn out to be too many, a selection."""
    if fewest(space) <= MOST_BRANCHES:
        some = list(islice(_plans(space), MOST_BRANCHES + 1))
        if len(some) <= MOST_BRANCHES:
            return iter(some)
    return _covering(space)


def _covering(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, Recorder]]:
    """A selection of the branches in which every two choices that can meet do."""
    built: list[tuple[TrainConfig, Recorder]] = []
    seen: set[tuple[tuple[str, Choice], ...]] = set()

    def run(plan: pairwise.Plan) -> pairwise.Met:
        config, recorder = build(space, plan, "middle")
        built.append((config, recorder))
        return {
            name: (plan.get(name, 0), len(recorder.asked[name].choices))
            for name in recorder.answers
        }

    for plan in pairwise.plans(run):
        config, recorder = built.pop()
        branch = tuple(recorder.answers.items())
        if branch not in seen:
            seen.add(branch)
            yield plan, config, recorder


def build(
    space: Space, plan: Mapping[str, int], position: Position
) -> tuple[TrainConfig, Recorder]:
    """Run the space once.

    Raises:
        UsageError: naming the choices made, if that fails.
    """
    recorder = Recorder(plan, position)
    try:
        config = space.function(recorder)
    except Exception as error:
        made = ", ".join(f"{name} = {choice}" for name, choice in recorder.answers.items())
        where = f"with {made or 'no choice made yet'} (numbers at the {position})"
        raise UsageError(f"space {space.name!r} {where}: {_words(error)}") from error
    if not isinstance(config, TrainConfig):
        raise UsageError(
            f"space {space.name!r} must return a TrainConfig, got {type(config).__name__}"
        )
    return config, recorder


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return describe_validation_error(error)
    known = isinstance(error, ValueError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def check_seed(space: Space, one: TrainConfig, other: TrainConfig) -> None:
    """Refuse two configs of one space with different seeds."""
    if one.seed != other.seed:
        raise UsageError(
            f"space {space.name!r} sets config.seed to {one.seed} and to {other.seed}; the seed is "
            "no axis"
        )


def _two_ranges(name: str, one: Range, other: Range) -> str:
    return (
        f"axis {name!r} has two ranges, {one.text()} and {other.text()}; one name, one range: "
        "give each its own name"
    )


def _check_range(name: str, extent: Range) -> None:
    if extent.kind == "categorical":
        allowed = all(c is None or isinstance(c, str | int | float) for c in extent.choices)
        if not extent.choices or not allowed or len(set(extent.choices)) < len(extent.choices):
            raise ValueError(
                f"axis {name!r} needs different choices that are strings, numbers, booleans or "
                f"None, got {extent.choices}"
            )
    elif extent.low > extent.high or (extent.log and extent.low <= 0):
        raise ValueError(f"axis {name!r} has no such range: {extent.text()}")
    elif extent.log and extent.step not in (None, 1):
        raise ValueError(f"axis {name!r} can have a step or be logarithmic, not both")
