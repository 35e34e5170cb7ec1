"""Generate the reference of the config and of the ledger's events from the pydantic models."""

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def config_page() -> str:
    """Write every part of a `TrainConfig` with its fields."""
    from spkmodel import config

    parts = [getattr(config, name) for name in config.__all__]
    models = [
        each for each in parts if inspect.isclass(each) and issubclass(each, config.FrozenModel)
    ]
    models.sort(key=lambda model: (model is not config.TrainConfig, model.__name__))
    intro = (
        "A `TrainConfig` says all that decides what one training learns. It is frozen, and a "
        "misspelt field is an error. Generated from `spkmodel.config`; where a field's type names "
        "another part, that part stands below."
    )
    return _page("TrainConfig", intro, models)


def events_page() -> str:
    """Write every kind of event with its fields."""
    from search.ledger.event import Event
    from search.ledger.events import UnknownEvent

    models = [
        each
        for each in _subclasses(Event)
        if not issubclass(each, UnknownEvent) and not each.model_fields["event"].is_required()
    ]
    intro = (
        "The ledger of a search is the file `ledger.jsonl` in its folder. Each line is one event, "
        "a JSON object. A field without a default is in every event of its kind. Generated from "
        "`search.ledger.events`."
    )
    return _page("Events of the ledger", intro, sorted(models, key=lambda model: model.__name__))


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        if each.__module__.startswith("search.ledger"):
            yield each
        yield from _subclasses(each)


def _page(title: str, intro: str, models: Sequence[type[BaseModel]]) -> str:
    lines = [f"# {title}", "", intro, ""]
    for model in models:
        lines += [f"## {model.__name__}", "", _first_paragraph(model), ""]
        if model.model_fields:
            described = _described_fields(model)
            lines += ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
            lines += [
                f"| `{field.alias or name}` | {_code(_type_name(field.annotation))} | "
                f"{_default(field)} | {_cell(described.get(name, ''))} |"
                for name, field in model.model_fields.items()
            ]
            lines.append("")
    return "\n".join(lines)


def _first_paragraph(model: type[BaseModel]) -> str:
    text = inspect.cleandoc(model.__doc__ or "")
    return " ".join(text.split("\n\n")[0].split())


def _described_fields(model: type[BaseModel]) -> dict[str, str]:
    """By field: the text that stands below it in the source, or the comment beside it."""
    described: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        source = inspect.getsource(each)
        for found in re.finditer(
            r'^    (\w+): [^\n]*?(?:  # ([^\n]*))?\n(?:    """(.*?)""")?', source, re.M | re.S
        ):
            text = found[3] or found[2]
            if text:
                described[found[1]] = " ".join(text.split())
    return described


def _type_name(annotation: Any) -> str:
    plain = inspect.isclass(annotation) and not getattr(annotation, "__args__", ())
    name = annotation.__name__ if plain else str(annotation)
    name = re.sub(r"Annotated\[(.+?), FieldInfo\(.*?\)\]", r"\1", name)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", name).replace("NoneType", "None")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "made anew"
    if isinstance(field.default, BaseModel):
        return _code(_changed_fields(field.default))
    return _code(repr(field.default))


def _changed_fields(part: BaseModel) -> str:
    """Write a part with the fields that differ from its own defaults."""
    fields = type(part).model_fields
    changed = [
        f"{name}={getattr(part, name)!r}"
        for name, field in fields.items()
        if getattr(part, name) != field.default
    ]
    return f"{type(part).__name__}({', '.join(changed)})"


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
