"""The base class of all events, and how an event becomes a line of the ledger."""

import json
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from search.core.errors import SpksearchError


class LedgerDamaged(SpksearchError):
    """A line of the ledger, other than a torn last one, cannot be read."""


class Event(BaseModel):
    """One line of a ledger. A key that was not set is not written.

    Keys that a later version adds to a kind of event are kept, and written again.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    event: str
    """The kind."""
    time: str = ""
    """When it was written, UTC, in ISO 8601; empty before."""
    search: str = ""
    """Name of the search; empty before it is written."""
    request: str = ""
    """The file of the request that it carries out."""
    uptime: float | None = None
    """Seconds that its driver had worked, by a clock that nobody sets; None: no driver wrote it."""

    _body: ClassVar[tuple[str, ...]] = ()
    """Names of the fields of its kind, in the order in which they are written."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        own = [name for name in cls.model_fields if name not in Event.model_fields]
        cls._body = tuple(sorted(own, key=lambda name: name != "format"))

    @property
    def trial_name(self) -> str:
        """Name of the trial that the event is about; empty for events of the whole search."""
        return self.__dict__.get("trial") or ""

    def fields(self) -> dict[str, Any]:
        """Fields that this kind of event adds to the common ones, by key."""
        values, said = self.__dict__, self.model_fields_set
        own = {name: values[name] for name in self._body if name in said}
        return own | (self.__pydantic_extra__ or {})

    def to_line(self) -> str:
        """Return the event as a line of the ledger: one JSON object.

        Raises:
            ValueError: a number is not finite.
        """
        values, said = self.__dict__, self.model_fields_set
        record: dict[str, Any] = {"event": self.event, "time": self.time, "search": self.search}
        for name in self._body:
            if name in said:
                record[name] = values[name]
        if self.__pydantic_extra__:
            record |= self.__pydantic_extra__
        for name in ("request", "uptime"):
            if name in said:
                record[name] = values[name]
        return _encode(record)


def _to_json(value: Any) -> Any:
    """Convert a model or a dataclass inside an event, which `json` cannot encode."""
    match value:
        case BaseModel():
            said = value.model_fields_set
            own = {name: each for name, each in value.__dict__.items() if name in said}
            return own | (value.__pydantic_extra__ or {})
        case _ if is_dataclass(value):
            return {name: getattr(value, name) for name in _names(value)}
    raise TypeError(f"{type(value).__name__} is not JSON")


def _names(value: Any) -> Iterable[str]:
    names: Iterable[str] = value.__dataclass_fields__
    return names


_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, default=_to_json).encode
