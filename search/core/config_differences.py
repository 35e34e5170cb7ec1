"""Compare two nested configs key by key."""

from collections.abc import Mapping
from typing import Any


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config with dotted keys; parts in a list are counted from 0."""
    result: dict[str, Any] = {}
    for key, entry in config.items():
        if isinstance(entry, Mapping):
            result |= flatten(entry, f"{prefix}{key}.")
        elif isinstance(entry, list | tuple) and any(isinstance(e, Mapping) for e in entry):
            result |= flatten({str(i): e for i, e in enumerate(entry)}, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = entry
    return result


def find_differences(
    config: Mapping[str, Any], other: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """Return the dotted keys in which two configs differ, with both values.

    A value is None where one of the configs lacks the key.
    """
    here, there = flatten(config), flatten(other)
    keys = [*here, *(key for key in there if key not in here)]
    return [(k, here.get(k), there.get(k)) for k in keys if here.get(k) != there.get(k)]
