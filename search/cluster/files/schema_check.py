"""Check a document against a JSON schema, with the place and the probable meaning of mistakes."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from search.cluster.files.findings import Finding, Place
from search.cluster.files.yaml_source import Document

_TYPE_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


@cache
def load_schema(family: str, kind: str) -> dict[str, Any]:
    """Return a schema of `schemas/`: family `kuberay`, `kubernetes` or `compose`."""
    text = (files("search.cluster.files") / "schemas" / f"{family}.json").read_text("utf-8")
    document = json.loads(text)
    return {"$defs": document["$defs"], **document["kinds"][kind]}


@cache
def list_kinds(family: str) -> tuple[str, ...]:
    """Return the kinds of document that a family describes."""
    text = (files("search.cluster.files") / "schemas" / f"{family}.json").read_text("utf-8")
    return tuple(json.loads(text)["kinds"])


def check_schema(document: Document, schema: dict[str, Any], below: Place = ()) -> list[Finding]:
    """Return what is wrong with a document, or with the part of it at `below`, by a schema."""
    value = document.value
    for step in below:
        value = value[step]
    found: list[Finding] = []
    for error in Draft202012Validator(schema).iter_errors(_convert_keys_to_text(value)):
        for innermost in _find_innermost(error):
            place = (*below, *innermost.absolute_path)
            found += _describe(document, place, innermost)
    return sorted(set(found))


def suggest_nearest(name: str, known: Iterable[str], at_least: float = 0.6) -> str:
    """Return `; did you mean NAME?` with the nearest known name; empty if none is near."""
    names = sorted(known)
    by_letters = {each.lower().replace("_", "").replace("-", ""): each for each in names}
    simple = name.lower().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(simple, by_letters, n=1, cutoff=at_least)
    return f"; did you mean {by_letters[close[0]]}?" if close else ""


def _convert_keys_to_text(value: Any) -> Any:
    """Return the value with text keys: YAML reads an unquoted `on` or `8080` as another type."""
    match value:
        case dict():
            return {str(key): _convert_keys_to_text(item) for key, item in value.items()}
        case list():
            return [_convert_keys_to_text(item) for item in value]
        case _:
            return value


def _find_innermost(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the errors of the alternative that fits best, if all alternatives fail."""
    if error.validator not in ("anyOf", "oneOf") or not error.context:
        yield error
        return
    branches: dict[Any, list[ValidationError]] = {}
    for each in error.context:
        branches.setdefault(each.relative_schema_path[0], []).append(each)
    fitting = [
        branch
        for branch in branches.values()
        if not any(each.validator == "type" and not each.relative_path for each in branch)
    ]
    if not fitting:
        yield error
        return
    for each in min(fitting, key=len):
        yield from _find_innermost(each)


def _describe(document: Document, place: Place, error: ValidationError) -> Iterator[Finding]:
    value = _describe_value(error.instance)
    match error.validator:
        case "additionalProperties":
            known = set(error.schema.get("properties", {}))
            patterns = list(error.schema.get("patternProperties", {}))
            for name in error.instance:
                if name not in known and not any(re.search(each, name) for each in patterns):
                    meant = suggest_nearest(name, known) or _list_known(known)
                    yield document.finding((*place, name), f"there is no {name} here{meant}")
        case "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            # One error a missing name is raised; each says all, and equal findings become one.
            yield document.finding(place, f"lacks {', '.join(missing)}")
        case "type":
            allowed = _name_types(error.validator_value)
            yield document.finding(place, f"must be {allowed}, got {value}")
        case "anyOf" | "oneOf":
            wanted = [each.get("type") for each in error.validator_value if each.get("type")]
            types = [
                name for each in wanted for name in ([each] if isinstance(each, str) else each)
            ]
            allowed = _name_types(types) or "another thing"
            yield document.finding(place, f"must be {allowed}, got {value}")
        case "enum":
            values = [str(value) for value in error.validator_value if value is not None]
            yield document.finding(
                place,
                f"must be one of {', '.join(values)}, got {value}"
                + suggest_nearest(str(error.instance), values),
            )
        case _:
            yield document.finding(place, error.message[:200])


def _list_known(known: Iterable[str]) -> str:
    names = sorted(known)
    return f"; known are {', '.join(names)}" if 0 < len(names) <= 12 else ""


def _name_types(names: str | Iterable[str]) -> str:
    several = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    phrases = [_TYPE_WORDS[name] for name in several if name != "null" or len(several) == 1]
    return " or ".join(phrases)


def _describe_value(value: Any) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            text = json.dumps(value, default=str)
            return text if len(text) <= 40 else f"{text[:37]}..."
