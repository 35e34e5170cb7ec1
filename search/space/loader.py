"""Load a space and describe its parameters (axes) and branches, without Optuna, torch or Ray."""

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
    estimate_branch_count,
)
from spkmodel.config import TrainConfig

__all__ = [
    "USER_SPACES",
    "Axis",
    "Branch",
    "Space",
    "available",
    "branches",
    "describe",
    "find_shipped",
    "format_extent",
    "load",
    "user_space_file",
]

USER_SPACES = "own_spaces"
"""Folder with copies of users' space files, which goes along with a launch to a cluster."""

_ENTRIES = re.compile(r"#\s*log:\s*(.+?)\s*$")


@dataclass(frozen=True)
class Axis:
    """One parameter of a space."""

    name: str
    kind: Literal["float", "int", "categorical"]
    range_text: str
    low: float | None
    high: float | None
    log: bool
    choices: tuple[Choice, ...]
    condition: str
    """When the space asks for it, such as `loss = triplet`; empty: always."""
    entries: str
    """Entries of the log that justify the range, from the `# log: 103-105` on its line."""


@dataclass(frozen=True)
class Branch:
    """One combination of categorical choices."""

    choices: Mapping[str, Choice]
    axes: tuple[str, ...]
    """All axes that the space asks for here, in order."""
    config: TrainConfig
    """The config with all numeric axes in the middle."""


def available() -> list[str]:
    """Return the names of the spaces that come with the project."""
    return sorted(p.stem for p in _spaces_folder().glob("*.py") if not p.stem.startswith("_"))


def load(name_or_path: str) -> Space:
    """Load a space of `spaces/` by its name, or one from a `.py` file, which is code and is run.

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
    path = Path(name_or_path) if is_path else find_shipped(name_or_path)
    if not path.is_file():
        raise UsageError(f"no space file {path}")
    module = _run_file(path)
    function = getattr(module, "space", None)
    if not callable(function):
        raise UsageError(f"{path} has no function space(trial) -> TrainConfig")
    question = (inspect.getdoc(module) or "").partition("\n")[0]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    default = _read_named_default(path, module)
    return Space(path.stem, function, question, path.absolute(), digest, default)


def branches(space: Space) -> list[Branch]:
    """Return the branches of a space, each built and validated: all, or a selection of many.

    Raises:
        UsageError: naming the choices made, if one cannot be built, if an axis has two ranges,
            or if the seed or the fidelity is an axis.
    """
    found = []
    for plan, config, trial in enumerate_branches(space):
        # A config that is valid in the middle of its ranges may be refused at their ends.
        for position in ("low", "high"):
            extreme, _ = build(space, plan, position)
            check_seed(space, config, extreme)
        found.append(Branch(trial.answers, tuple(trial.asked), config))
    return found


def format_extent(space: Space, branches: int) -> str:
    """Return for people which part of a space so many branches are."""
    least = estimate_branch_count(space)
    if least <= MOST_BRANCHES and branches <= MOST_BRANCHES:
        return f"all {branches} combinations of choices build"
    return (
        f"{branches} combinations of choices, in which every two meet, build "
        f"(of at least {least:.0e} in all)"
    )


def describe(space: Space) -> list[Axis]:
    """Return the axes of a space, in the order in which it asks for them.

    Raises:
        UsageError: as `branches` does.
    """
    ranges: dict[str, Range] = {}
    shapes: _ChoicesByAxes = {}
    for _, _, trial in enumerate_branches(space):
        for name, extent in trial.asked.items():
            ranges.setdefault(name, extent)
        choices = shapes.setdefault(tuple(trial.asked), {})
        for name, answer in trial.answers.items():
            choices.setdefault(name, set()).add(answer)
    conditions = _find_conditions(shapes, ranges)
    entries = _read_log_entries(space.path)
    return [
        Axis(
            name=name,
            kind=extent.kind,
            range_text=extent.format(),
            low=None if extent.kind == "categorical" else extent.low,
            high=None if extent.kind == "categorical" else extent.high,
            log=extent.log,
            choices=extent.choices,
            condition=_format_condition(name, conditions),
            entries=entries.get(name, ""),
        )
        for name, extent in ranges.items()
    ]


# --- loading ---------------------------------------------------------------------------------


def _spaces_folder() -> Path:
    return Path(next(iter(spaces.__path__)))


def find_shipped(name: str) -> Path:
    """Return the file of a space that comes with the project; it need not be there."""
    return _spaces_folder() / f"{name}.py"


def user_space_file(space: Space) -> str:
    """Return the path of a user's own space for a command line; empty for one of the project's."""
    if space.path.is_relative_to(_spaces_folder()):
        return ""
    # A job on a cluster runs a copy, whose folder has another path there.
    return space.path.name if space.path.parent.name == USER_SPACES else str(space.path)


def _run_file(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"spaces.{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    return module


def _read_named_default(path: Path, module: ModuleType) -> Mapping[str, Choice]:
    default = getattr(module, "DEFAULT", {})
    if not isinstance(default, Mapping):
        raise UsageError(
            f"{path}: DEFAULT must be a mapping of answers by parameter, such as "
            f"{{'learning_rate': 1e-3}}, got {type(default).__name__}"
        )
    return dict(default)


def _read_log_entries(path: Path) -> dict[str, str]:
    """Return, by axis, what the comment on its `suggest_` call says about the log."""
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

_ChoicesByAxes = dict[tuple[str, ...], dict[str, set[Choice]]]
"""By the axes asked, in order: the choices with which these and no others are asked."""

_Condition = dict[str, tuple[Choice, ...]]


def _find_conditions(shapes: _ChoicesByAxes, ranges: Mapping[str, Range]) -> dict[str, _Condition]:
    """Return, by axis, the choices of earlier axes that it needs; {"": ()} if none explain it."""
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


def _format_condition(name: str, conditions: Mapping[str, _Condition]) -> str:
    needed = conditions[name]
    implied = {other for step in needed if step for other in conditions[step]}
    parts = [
        f"{other} = {' or '.join(str(choice) for choice in choices)}" if other else "now and then"
        for other, choices in needed.items()
        if other not in implied
    ]
    return ", ".join(parts)
