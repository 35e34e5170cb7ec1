"""Enumerate the branches of a space: its combinations of categorical choices.

The space is run with a stand-in for Optuna's trial, which answers by plan and records what it was
asked; numeric axes are put at their low ends, middles or high ends. Neither Optuna nor torch is
loaded. Up to `MOST_BRANCHES` combinations are all enumerated; of more, a selection in which every
two choices occur together (`search.space.pairwise`).
"""

import math
import posixpath
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
from spkmodel.core.foreign_file import shorten

Choice = str | int | float | bool | None
Position = Literal["low", "middle", "high"]

MOST_BRANCHES = 20_000
"""A space with more combinations is enumerated in part."""

MOST_CHOICES = 1000
"""Of one axis: more is a number, which a range describes."""

MOST_AXES = 1000
"""Of one branch."""

_LEGAL_NAME = re.compile(r"[/\w.\- :]{1,250}")
_RESERVED_NAMES = re.compile(r"(?:.*_)?seed|epochs?|max_epochs|fidelity")


@dataclass(frozen=True)
class Space:
    """A search space: a function that asks for its parameters (axes) and returns a config."""

    name: str
    function: Callable[[Any], TrainConfig]
    question: str
    """The question that it answers: the first line of the file's docstring."""
    path: Path
    sha256: str
    """Of the file."""
    default: Mapping[str, Choice] = field(default_factory=dict)
    """Answers of its default point that it names itself; see `search.space.default_point`."""


@dataclass(frozen=True)
class Range:
    """The values that an axis may have."""

    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[Choice, ...] = ()

    def format(self) -> str:
        """Return the range for people: `1e-4 .. 1e-2, log`, or the choices."""
        if self.kind == "categorical":
            return " | ".join(str(choice) for choice in self.choices)
        steps = self.step is not None and (self.kind == "float" or self.step != 1)
        notes = [f"step {self.step:g}"] if steps else []
        notes += ["log"] if self.log else []
        return ", ".join([f"{self.low:g} .. {self.high:g}", *notes])

    def value_at(self, position: Position) -> float:
        """Return an end or the middle of a numeric range."""
        if position != "middle":
            return self.low if position == "low" else self.high
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        if self.step is not None:
            middle = self.low + round((middle - self.low) / self.step) * self.step
        return round(middle) if self.kind == "int" else middle


@dataclass
class PlannedTrial:
    """Stands in for Optuna's trial: answers by plan, and records what was asked."""

    plan: Mapping[str, int]
    """By categorical axis, the index of its choice; 0 where nothing is planned."""
    position: Position
    asked: dict[str, Range] = field(default_factory=dict)
    answers: dict[str, Choice] = field(default_factory=dict)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        extent = Range("float", float(low), float(high), step, log)
        self._record(name, extent)
        return extent.value_at(self.position)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        extent = Range("int", low, high, step, log)
        self._record(name, extent)
        return int(extent.value_at(self.position))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Choice:
        if len(choices) > MOST_CHOICES:
            raise ValueError(
                f"axis {name!r} has {len(choices)} choices; at most {MOST_CHOICES} are taken: ask "
                "for a number with suggest_int or suggest_float"
            )
        self._record(name, Range("categorical", choices=tuple(choices)))
        answer = choices[self.plan.get(name, 0)]
        self.answers[name] = answer
        return answer

    def _record(self, name: str, extent: Range) -> None:
        if _RESERVED_NAMES.fullmatch(name):
            raise ValueError(f"axis {name!r}: neither a seed nor the fidelity may be an axis")
        _check_name(name)
        _check_range(name, extent)
        if name not in self.asked and len(self.asked) == MOST_AXES:
            raise ValueError(f"it asks for more than {MOST_AXES} axes")
        before = self.asked.setdefault(name, extent)
        if before != extent:
            raise ValueError(_format_two_ranges(name, before, extent))


def estimate_branch_count(space: Space) -> int:
    """Return a lower bound of the number of branches, from the axes of the first branch."""
    _, trial = build(space, {}, "middle")
    return math.prod(len(trial.asked[name].choices) for name in trial.answers)


def enumerate_branches(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, PlannedTrial]]:
    """Yield one config for each branch, numbers at mid-range, with the choices that select it.

    Raises:
        UsageError: if a branch cannot be built, if an axis has two ranges, or if seeds differ.
    """
    ranges: dict[str, Range] = {}
    first: TrainConfig | None = None
    for plan, config, trial in _enumerate_all_or_some(space):
        first = config if first is None else first
        check_seed(space, first, config)
        for name, extent in trial.asked.items():
            before = ranges.setdefault(name, extent)
            if before != extent:
                raise UsageError(
                    f"space {space.name!r}: {_format_two_ranges(name, before, extent)}"
                )
        yield plan, config, trial


def _enumerate_all(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, PlannedTrial]]:
    """Yield all branches, in the order of a counter whose digits depend on the digits before."""
    plan: dict[str, int] = {}
    while True:
        config, trial = build(space, plan, "middle")
        yield plan, config, trial
        digits = [(n, len(trial.asked[n].choices), plan.get(n, 0)) for n in trial.answers]
        # As in counting up: drop the last digits that are at their highest, then raise the next.
        while digits and digits[-1][2] + 1 == digits[-1][1]:
            digits.pop()
        if not digits:
            return
        name, _, index = digits.pop()
        plan = {earlier: choice for earlier, _, choice in digits} | {name: index + 1}


def _enumerate_all_or_some(
    space: Space,
) -> Iterator[tuple[dict[str, int], TrainConfig, PlannedTrial]]:
    """Return all branches, or a selection where there are too many."""
    # The lower bound spares spaces that are plainly too large; for the others, only counting tells.
    if estimate_branch_count(space) <= MOST_BRANCHES:
        some = list(islice(_enumerate_all(space), MOST_BRANCHES + 1))
        if len(some) <= MOST_BRANCHES:
            return iter(some)
    return _enumerate_pairwise(space)


def _enumerate_pairwise(space: Space) -> Iterator[tuple[dict[str, int], TrainConfig, PlannedTrial]]:
    """Yield a selection of branches in which every two choices occur together, if they can."""
    built: list[tuple[TrainConfig, PlannedTrial]] = []
    seen: set[tuple[tuple[str, Choice], ...]] = set()

    def run(plan: pairwise.Plan) -> pairwise.Asked:
        config, trial = build(space, plan, "middle")
        built.append((config, trial))
        return {name: (plan.get(name, 0), len(trial.asked[name].choices)) for name in trial.answers}

    for plan in pairwise.enumerate_plans(run):
        config, trial = built.pop()
        branch = tuple(trial.answers.items())
        if branch not in seen:
            seen.add(branch)
            yield plan, config, trial


def build(
    space: Space, plan: Mapping[str, int], position: Position
) -> tuple[TrainConfig, PlannedTrial]:
    """Run the space once, and return the config and what was asked.

    Raises:
        UsageError: naming the choices made, if that fails.
    """
    trial = PlannedTrial(plan, position)
    try:
        config = space.function(trial)
    except Exception as error:
        made = ", ".join(f"{name} = {choice}" for name, choice in trial.answers.items())
        where = f"with {made or 'no choice made yet'} (numbers at the {position})"
        raise UsageError(f"space {space.name!r} {where}: {_describe_error(error)}") from error
    if not isinstance(config, TrainConfig):
        raise UsageError(
            f"space {space.name!r} must return a TrainConfig, got {type(config).__name__}"
        )
    return config, trial


def _describe_error(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return describe_validation_error(error)
    # A ValueError is the config's own message; of any other error the type says more than its text.
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def check_seed(space: Space, first: TrainConfig, second: TrainConfig) -> None:
    """Refuse two configs of one space with different seeds.

    Raises:
        UsageError: if the seeds differ.
    """
    if first.seed != second.seed:
        raise UsageError(
            f"space {space.name!r} sets config.seed to {first.seed} and to {second.seed}; the seed "
            "is no axis"
        )


def _format_two_ranges(name: str, first: Range, second: Range) -> str:
    return (
        f"axis {name!r} has two ranges, {first.format()} and {second.format()}; one name, one "
        "range: give each its own name"
    )


def _check_name(name: str) -> None:
    """Refuse a name under which MLflow would not record the axis."""
    is_path = name in (posixpath.normpath(name), "") and not name.startswith(("/", "."))
    if not _LEGAL_NAME.fullmatch(name) or not is_path:
        raise ValueError(
            f"axis {shorten(name, 60)!r}: its name has {len(name)} characters; one that MLflow "
            "records has 1 to 250 of letters, digits, '_', '-', '.', ' ', ':' and '/' between parts"
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
        raise ValueError(f"axis {name!r} has no such range: {extent.format()}")
    elif extent.log and extent.step not in (None, 1):
        raise ValueError(f"axis {name!r} can have a step or be logarithmic, not both")
