"""Load a space, walk its branches, describe its axes; without Optuna, torch or Ray."""

import ast
import difflib
import hashlib
import importlib.util
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import spaces
from search.core.errors import UsageError
from search.space.branches import (
    MOST_BRANCHES,
    Choice,
    Range,
    Space,
    build,
    check_seed,
    enumerate_branches,
    fewest,
)
from spkmodel.config import TrainConfig

__all__ = [
    "OWN_SPACES",
    "Axis",
    "Branch",
    "Space",
    "available",
    "branches",
    "describe",
    "extent_text",
    "load",
    "own_file",
]

OWN_SPACES = "own_spaces"
"""Folder of the copies of spaces that are none of ours, where a launch travels."""

_ENTRIES = re.compile(r"#\s*log:\s*(.+?)\s*$")


@dataclass(frozen=True)
class Axis:
    """One dimension of a space."""

    name: str
    kind: Literal["float", "int", "categorical"]
    range_text: str
    low: float | None
    high: float | None
    log: bool
    choices: tuple[Choice, ...]
    condition: str
    """When it is asked at all, such as `loss = triplet`; empty: always."""
    entries: str
    """Entries of the log behind the range, from the `# log: 103-105` on its line."""


@dataclass(frozen=True)
class Branch:
    """One combination of categorical choices."""

    choices: Mapping[str, Choice]
    axes: tuple[str, ...]
    """All that were asked, in order."""
    config: TrainConfig
    """With the numeric axes in the middle."""


def available() -> list[str]:
    """Names of the spaces that come with the project."""
    return sorted(p.stem for p in _folder().glob("*.py") if not p.stem.startswith("_"))


def load(name_or_path: str) -> Space:
    """A space of `spaces/` by its name, or one from a `.py` file, which is code and is run.

    Raises:
        UsageError: if there is none, naming the nearest, or if the file does not define one.
    """
    is_path = name_or_path.endswith(".py") or "/" in name_or_path
    if not is_path and name_or_path not in available():
        near = difflib.get_close_matches(name_or_path, available(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"no space {name_or_path!r}; {hint}there are {', '.join(available())}, or the path of "
            "a .py file"
        )
    path = Path(name_or_path) if is_path else _folder() / f"{name_or_path}.py"
    if not path.is_file():
        raise UsageError(f"no space file {path}")
    module = _run(path)
    function = getattr(module, "space", None)
    if not callable(function):
        raise UsageError(f"{path} has no function space(trial) -> TrainConfig")
    question = (inspect.getdoc(module) or "").partition("\n")[0]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Space(path.stem, function, question, path.absolute(), digest)


def branches(space: Space) -> list[Branch]:
    """Combinations of categorical choices, each built and validated: all, or of many a selection.

    Raises:
        UsageError: naming the choices made, if one cannot be built, if an axis has two ranges,
            or if the seed or the fidelity is an axis.
    """
    found = []
    for plan, config, recorder in enumerate_branches(space):
        for position in ("low", "high"):
            extreme, _ = build(space, plan, position)
            check_seed(space, config, extreme)
        found.append(Branch(recorder.answers, tuple(recorder.asked), config))
    return found


def extent_text(space: Space, branches: int) -> str:
    """How much of a space `branches` are, for people."""
    least = fewest(space)
    if least <= MOST_BRANCHES and branches <= MOST_BRANCHES:
        return f"all {branches} combinations of choices build"
    return (
        f"{branches} combinations of choices, in which every two meet, build "
        f"(of at least {least:.0e} in all)"
    )


def describe(space: Space) -> list[Axis]:
    """The axes in the order in which they are met.

    Raises:
        UsageError: as `branches` does.
    """
    ranges: dict[str, Range] = {}
    shapes: _Shapes = {}
    for _, _, recorder in enumerate_branches(space):
        for name, extent in recorder.asked.items():
            ranges.setdefault(name, extent)
        choices = shapes.setdefault(tuple(recorder.asked), {})
        for name, answer in recorder.answers.items():
            choices.setdefault(name, set()).add(answer)
    conditions = _conditions(shapes, ranges)
    entries = _entries(space.path)
    return [
        Axis(
            name=name,
            kind=extent.kind,
            range_text=extent.text(),
            low=None if extent.kind == "categorical" else extent.low,
            high=None if extent.kind == "categorical" else extent.high,
            log=extent.log,
            choices=extent.choices,
            condition=_condition_text(name, conditions),
            entries=entries.get(name, ""),
        )
        for name, extent in ranges.items()
    ]


# --- loading ---------------------------------------------------------------------------------


def _folder() -> Path:
    return Path(next(iter(spaces.__path__)))


def own_file(space: Space) -> str:
    """What names a space that is none of ours on a command line; empty if it is."""
    if space.path.is_relative_to(_folder()):
        return ""
    # A job of a cluster has a copy, in a folder that goes with it.
    return space.path.name if space.path.parent.name == OWN_SPACES else str(space.path)


def _run(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"spaces.{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    return module


def _entries(path: Path) -> dict[str, str]:
    """By axis, what the comment on its `suggest_` call says about the log."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    found = {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ) if called.startswith("suggest_"):
                texts = lines[node.lineno - 1 : node.end_lineno]
                hits = [hit.group(1) for text in texts if (hit := _ENTRIES.search(text))]
                if hits:
                    found[name] = hits[0]
    return found


# --- conditions ------------------------------------------------------------------------------

_Shapes = dict[tuple[str, ...], dict[str, set[Choice]]]
"""By the axes asked, in order: the choices with which these and no others are asked."""

_Condition = dict[str, tuple[Choice, ...]]


def _conditions(shapes: _Shapes, ranges: Mapping[str, Range]) -> dict[str, _Condition]:
    """By axis: which choices of which earlier axes it needs; a key "" where there is more to it."""
    found: dict[str, _Condition] = {}
    for name in ranges:
        having = {asked: choices for asked, choices in shapes.items() if name in asked}
        earlier = [set(asked[: asked.index(name)]) for asked in having]
        needed: _Condition = {}
        common = set.intersection(*earlier).intersection(*having.values())
        for other in (each for each in ranges if each in common):
            allowed = ranges[other].choices
            seen = set.union(*(choices[other] for choices in having.values()))
            if len(seen) < len(allowed):
                needed[other] = tuple(choice for choice in allowed if choice in seen)
        if not needed and len(having) < len(shapes):
            needed[""] = ()
        found[name] = needed
    return found


def _condition_text(name: str, conditions: Mapping[str, _Condition]) -> str:
    needed = conditions[name]
    implied = {other for step in needed if step for other in conditions[step]}
    parts = [
        f"{other} = {' or '.join(str(choice) for choice in choices)}" if other else "now and then"
        for other, choices in needed.items()
        if other not in implied
    ]
    return ", ".join(parts)
