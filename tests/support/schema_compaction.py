"""Bring other projects' JSON schemas into the form that is kept here: no prose, every part once.

The three files in `search/cluster_files/schemas/` were made by it; their README says from what.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

Schema = Any
"""A JSON value; a dict where it is a schema with keywords."""

_PROSE = frozenset(
    {"description", "title", "default", "format", "examples", "example", "deprecated", "$schema"}
    | {"$id", "$comment", "tsType"}
)
_NAMED = frozenset({"properties", "patternProperties", "definitions", "$defs"})
"""Keywords whose members are named by the user, not by JSON Schema."""

_WORTH_NAMING = 60
"""Characters from which a part that occurs again is written once and referred to."""


def compact_schemas(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Return one document for several schemas: `kinds` by name, and `$defs` that they share.

    Args:
        schemas: by name, each without references, or with references into its own definitions.
    """
    bare = {
        name: refuse_unknown_fields(remove_prose(inline_references(schema)))
        for name, schema in schemas.items()
    }
    counts: Counter[str] = Counter()
    for schema in bare.values():
        _count(schema, counts)
    shared = {
        text: f"d{number}"
        for number, text in enumerate(
            text for text, times in counts.items() if times > 1 and len(text) >= _WORTH_NAMING
        )
    }
    return {
        "$defs": {
            name: _referring(json.loads(text), shared, whole=text) for text, name in shared.items()
        },
        "kinds": {name: _referring(schema, shared) for name, schema in bare.items()},
    }


def inline_references(schema: Schema) -> Schema:
    """Return the schema with references into its own `definitions` replaced by their targets.

    Raises:
        ValueError: for a reference to elsewhere, or one that contains itself.
    """
    definitions = schema.get("definitions", {}) if isinstance(schema, dict) else {}

    def resolved(part: Schema, within: tuple[str, ...]) -> Schema:
        if isinstance(part, list):
            return [resolved(each, within) for each in part]
        if not isinstance(part, dict):
            return part
        reference = part.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/definitions/")
            if name not in definitions:
                raise ValueError(f"{reference} is not in the schema's own definitions")
            if name in within:
                raise ValueError(f"{reference} contains itself")
            rest = {key: value for key, value in part.items() if key != "$ref"}
            return resolved(definitions[name] | rest, (*within, name))
        return {key: resolved(value, within) for key, value in part.items() if key != "definitions"}

    return resolved(schema, ())


def remove_prose(part: Schema, names: bool = False) -> Schema:
    """Return the schema without prose; with `names`, the keys of `part` are names of fields."""
    if isinstance(part, list):
        return [remove_prose(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: remove_prose(value, names=key in _NAMED and not names)
        for key, value in part.items()
        if names or not (key in _PROSE or key.startswith("x-kubernetes"))
    }


def refuse_unknown_fields(part: Schema, names: bool = False) -> Schema:
    """Return the schema with unknown fields refused wherever the known ones are listed."""
    if isinstance(part, list):
        return [refuse_unknown_fields(each) for each in part]
    if not isinstance(part, dict):
        return part
    out = {
        key: refuse_unknown_fields(value, names=key in _NAMED and not names)
        for key, value in part.items()
    }
    if not names and "properties" in out and "additionalProperties" not in out:
        out["additionalProperties"] = False
    return out


def _text(part: Schema) -> str:
    return json.dumps(part, sort_keys=True, separators=(",", ":"))


def _count(part: Schema, counts: Counter[str]) -> None:
    if isinstance(part, list):
        for each in part:
            _count(each, counts)
    elif isinstance(part, dict):
        if _is_schema(part):
            text = _text(part)
            counts[text] += 1
            if counts[text] > 1:
                return  # what it holds has been counted with it
        for value in part.values():
            _count(value, counts)


def _is_schema(part: dict[str, Any]) -> bool:
    return isinstance(part.get("type"), str | list) or "anyOf" in part or "oneOf" in part


def _referring(part: Schema, shared: Mapping[str, str], whole: str = "") -> Schema:
    if isinstance(part, list):
        return [_referring(each, shared) for each in part]
    if not isinstance(part, dict):
        return part
    if _is_schema(part):
        text = _text(part)
        if text != whole and text in shared:
            return {"$ref": f"#/$defs/{shared[text]}"}
    return {key: _referring(value, shared) for key, value in part.items()}
