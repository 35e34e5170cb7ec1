"""Describe what pydantic found wrong with a config: the field, its value and what is allowed."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

from spkmodel import config
from spkmodel.config import FrozenModel

_Variants = list[type[FrozenModel]]


def describe_validation_error(error: ValidationError) -> str:
    """Return one line for each problem; for an unknown key with the nearest known one."""
    lines = [_describe_problem(error.title, problem) for problem in error.errors(include_url=False)]
    return f"{error.title}: " + "\n  ".join(lines)


def _describe_problem(title: str, problem: Any) -> str:
    path, variants = _locate(title, problem["loc"])
    text = str(problem["msg"]).removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden":
            known = [field for variant in variants for field in variant.model_fields]
            near = get_close_matches(path.rpartition(".")[2], known, n=1)
            return f"{path}: no such key" + (f"; did you mean {near[0]}?" if near else "")
        case "value_error":
            # Its author knew the field, and not in which part of the whole this one stands.
            return text if not path or f"{path}." in text else f"{path}: {text}"
        case _:
            return f"{path}: {text[:1].lower() + text[1:]}, got {problem['input']!r}"


def _locate(title: str, steps: Sequence[str | int]) -> tuple[str, _Variants]:
    """Return the dotted path without the kinds that pydantic adds, and the parts it may be in."""
    here: _Variants = [part for part in (getattr(config, title, None),) if part is not None]
    path, variants = [], here
    for step in steps:
        if " " in str(step):  # the tag of a plain value beside parts, see `config.Pooling`
            continue
        # A tag of a union is no field that a user could have written, so the path leaves it out.
        tagged = [part for part in here if _find_kind(part) == step]
        if tagged:
            here = variants = tagged
            continue
        path.append(str(step))
        if isinstance(step, int):  # an index of a list, whose entries are parts of `here`
            continue
        variants = here
        here = [
            part for each in here if step in each.model_fields for part in _find_parts(each, step)
        ]
    return ".".join(path), variants


def _find_kind(part: type[FrozenModel]) -> Any:
    field = part.model_fields.get("kind")
    return None if field is None else field.default


def _find_parts(part: type[FrozenModel], field: str | int) -> _Variants:
    return _find_parts_in(part.model_fields[str(field)].annotation)


def _find_parts_in(annotation: Any) -> _Variants:
    """Return every part inside a type, with unions and annotations opened."""
    if isinstance(annotation, type) and issubclass(annotation, FrozenModel):
        return [annotation]
    return [part for inner in get_args(annotation) for part in _find_parts_in(inner)]
