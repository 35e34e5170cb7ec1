"""Represent changes of a config as a flat table from dotted path to new value.

TOML has no null; an empty table stands for it. A table with a `kind` is a whole part, which
replaces what was there; every other table leads further down. A number in a path is a place in a
list: `loss.terms.1.loss.margin`.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

Delta = dict[str, Any]


def flatten(table: Mapping[str, Any]) -> Delta:
    """Return a TOML table as paths and values."""
    return dict(_leaves(table, ""))


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value and "kind" not in value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _with_null(value)


def _with_null(value: Any) -> Any:
    """Return a TOML value with its empty tables replaced by None, at any depth."""
    match value:
        case Mapping():
            return {key: _with_null(inner) for key, inner in value.items()} or None
        case list():
            return [_with_null(inner) for inner in value]
        case _:
            return value


def apply_delta(config: Mapping[str, Any], delta: Delta) -> dict[str, Any]:
    """Return a copy of a config's dump with the paths of `delta` set.

    Raises:
        ValueError: a path leads nowhere; the message names it and the nearest field.
    """
    result = dict(config)
    for path, value in delta.items():
        result = _set_value(result, path.split("."), value, path)
    return result


def _set_value(current: Any, steps: list[str], value: Any, path: str) -> Any:
    """Return a copy of `current` with `value` at the end of `steps`."""
    step, *rest = steps
    if isinstance(current, list | tuple):
        if not step.isdigit() or int(step) >= len(current):
            raise ValueError(f"{path}: no place {step!r} in a list of {len(current)}")
        inner = _set_value(current[int(step)], rest, value, path) if rest else value
        return [inner if index == int(step) else each for index, each in enumerate(current)]
    table = _NewPart() if current is None else current
    if not isinstance(table, Mapping):
        raise ValueError(f"{path}: nothing lies below {current!r}")
    if step not in table and not isinstance(table, _NewPart):
        near = get_close_matches(step, table, n=1)
        raise ValueError(
            f"{path}: no field {step!r}" + (f"; did you mean {near[0]}?" if near else "")
        )
    inner = _set_value(table.get(step), rest, value, path) if rest else value
    copy = {**table, step: inner}
    return _NewPart(copy) if isinstance(table, _NewPart) else copy


class _NewPart(dict[str, Any]):
    """A new part, which accepts any field: its own validation checks them."""


def value_at(config: Any, path: str) -> Any:
    """Return the value at a path of a dump; None where the path leads nowhere."""
    for step in path.split("."):
        if isinstance(config, Mapping):
            config = config.get(step)
        elif isinstance(config, list | tuple) and step.isdigit() and int(step) < len(config):
            config = config[int(step)]
        else:
            return None
    return config


def find_delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> Delta:
    """Return the smallest delta that leads from one dump to another."""
    return dict(_differences(before, after, ""))


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any]]:
    if before == after:
        return
    match before, after:
        case Mapping(), Mapping() if before.keys() == after.keys() and _kind(before) == _kind(
            after
        ):
            prefix = f"{path}." if path else ""
            for key in after:
                yield from _differences(before[key], after[key], prefix + key)
        case ((list() | tuple()), (list() | tuple())) if _same_parts(before, after):
            for index, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from _differences(old, new, f"{path}.{index}")
        case _:
            yield path, after


def _kind(table: Mapping[str, Any]) -> Any:
    return table.get("kind")


def _same_parts(before: list[Any] | tuple[Any, ...], after: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether two lists hold matching parts; lists of numbers are compared as one value."""
    return len(before) == len(after) and all(
        isinstance(old, Mapping) and isinstance(new, Mapping) and old.keys() == new.keys()
        for old, new in zip(before, after, strict=True)
    )
