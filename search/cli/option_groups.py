"""Build commands whose options are the fields of dataclasses.

Typer reads the options of a command from its signature. A verb with thirty options would need a
signature of a hundred lines; here such a verb takes a few dataclasses, each a group of options.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

Result = TypeVar("Result")


def expand_groups(command: Callable[..., Result]) -> Callable[..., Result]:
    """Return `command` with each option group in its signature replaced by the group's fields.

    A group is a parameter whose type is a dataclass with `Annotated` Typer fields. The order of
    parameters and fields is the order in `--help`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {
        name: kind for name, kind in hints.items() if isinstance(kind, type) and is_dataclass(kind)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        group = groups.get(name)
        own = inspect.signature(group).parameters.values() if group is not None else [parameter]
        # Keyword-only, since a group's required field may follow a field with a default.
        parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]

    def expanded(**values: Any) -> Result:
        arguments: dict[str, Any] = {
            name: group(**{each.name: values.pop(each.name) for each in fields(group)})
            for name, group in groups.items()
        }
        return command(**arguments, **values)

    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(expanded, attribute, getattr(command, attribute))
    annotations = {each.name: each.annotation for each in parameters}
    expanded.__annotations__ = annotations
    setattr(expanded, "__signature__", inspect.Signature(parameters))  # noqa: B010 (mypy: unknown attribute)
    return expanded
