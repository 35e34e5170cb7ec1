"""Format a config as a space file: one function that asks nothing and returns it."""

from typing import Any

from pydantic import BaseModel

from spkmodel.config import FrozenModel, TrainConfig

_INDENT = "    "
_WIDE = 92


def format_space(config: TrainConfig, about: str) -> str:
    """Return Python code that builds `config`; fields without a given value are left out.

    Args:
        config: of one training.
        about: the docstring of the file.
    """
    names = sorted({type(part).__name__ for part in _collect_parts(config)}, key=_sort_key)
    imports = "".join(f"{_INDENT}{name},\n" for name in names)
    return (
        f"{_format_docstring(about)}\n\n"
        "from typing import TYPE_CHECKING\n\n"
        f"from spkmodel.config import (\n{imports})\n\n"
        "if TYPE_CHECKING:\n"
        f"{_INDENT}from optuna import Trial\n\n\n"
        'def space(_trial: "Trial") -> TrainConfig:\n'
        f'{_INDENT}"""One config; replace a value by a suggestion to search around it."""\n'
        f"{_INDENT}return {_format(config, 1)}\n"
    )


def _format_docstring(text: str) -> str:
    """Return a text as a docstring: whatever stands in it stays a text."""
    printable = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return '"""' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"""'


def _collect_parts(value: Any) -> list[FrozenModel]:
    """Return the parts that `_format` names, the whole config first."""
    match value:
        case FrozenModel():
            return [
                value,
                *(
                    part
                    for entry in _collect_given_fields(value).values()
                    for part in _collect_parts(entry)
                ),
            ]
        case tuple():
            return [part for entry in value for part in _collect_parts(entry)]
        case _:
            return []


def _collect_given_fields(part: BaseModel) -> dict[str, Any]:
    """Return the fields that were given a value, the default included; a kind is the class."""
    return {
        name: getattr(part, name)
        for name in type(part).model_fields
        if name != "kind" and name in part.model_fields_set
    }


def _format(value: Any, depth: int) -> str:
    match value:
        case FrozenModel():
            entries = [
                f"{name}={_format(v, depth + 1)}"
                for name, v in _collect_given_fields(value).items()
            ]
            return _format_call(f"{type(value).__name__}(", entries, ")", depth)
        case tuple():
            entries = [_format(each, depth + 1) for each in value]
            comma = "," if len(entries) == 1 else ""
            return _format_call("(", entries, f"{comma})", depth)
        case str():
            return _format_text(value)
        case _:
            return repr(value)


def _format_text(text: str) -> str:
    literal = repr(text)
    # In double quotes, as ruff formats it.
    if literal.startswith("'"):
        literal = '"' + literal[1:-1].replace('"', '\\"') + '"'
    return literal


def _format_call(opening: str, entries: list[str], closing: str, depth: int) -> str:
    """Format a call on one line if it fits, else one entry a line."""
    # As ruff formats it, so that the file passes the checks of the repository.
    flat = f"{opening}{', '.join(entries)}{closing}"
    if len(flat) + 4 * depth <= _WIDE and "\n" not in flat:
        return flat
    inner = "".join(f"{_INDENT * (depth + 1)}{entry},\n" for entry in entries)
    return f"{opening}\n{inner}{_INDENT * depth}{closing.lstrip(',')}"


def _sort_key(name: str) -> tuple[bool, str]:
    """Sort constants (SGD) before classes, as ruff orders imports."""
    return not name.isupper(), name.lower()
