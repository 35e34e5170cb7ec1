"""The messages that can be sent to a running search.

Who can write into a search's folder can ask; what is asked is checked like anything from elsewhere.
"""

import getpass
import os
import socket
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    by: str = Field(min_length=1, max_length=200)
    """Who asks."""
    driver: str = Field(default="", max_length=200)
    """Whom: `search.requests.mailbox.identity` of the driver at that moment; empty if there was
    none.
    """


class Stop(_Request):
    """Stop a trial, or the whole search if None: after its epoch, or at once."""

    kind: Literal["stop"] = "stop"
    trial: str | None = None
    now: bool = False


class Pause(_Request):
    """Start nothing new."""

    kind: Literal["pause"] = "pause"


class Unpause(_Request):
    """End a pause."""

    kind: Literal["resume"] = "resume"


class Add(_Request):
    """Try a config next."""

    kind: Literal["add"] = "add"
    config: dict[str, Any]
    origin: str = Field(min_length=1, max_length=500)
    log_entry: str = Field(default="", max_length=50)
    axes: dict[str, Any] = {}
    """What its trial is told by where it is no point of the space."""
    near: dict[str, Any] = {}
    """Answers to the space's questions of a config like it."""


class Budget(_Request):
    """Change budgets; a field that is None stays as it is."""

    kind: Literal["budget"] = "budget"
    trials: int | None = Field(default=None, ge=1)
    hours: float | None = Field(default=None, gt=0)
    max_epochs: int | None = Field(default=None, ge=1)
    finalists: int | None = Field(default=None, ge=1)
    concurrent: int | None = Field(default=None, ge=1)
    keep_checkpoints: int | None = Field(default=None, ge=1)
    disk_gb: float | None = Field(default=None, gt=0)

    def changes(self) -> dict[str, Any]:
        """Return the settings that change."""
        names = ["trials", "hours", "max_epochs", "finalists", "concurrent"]
        names += ["keep_checkpoints", "disk_gb"]
        return {name: value for name in names if (value := getattr(self, name)) is not None}


Request = Stop | Pause | Unpause | Add | Budget

_ANY: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])


def read(text: bytes) -> Request:
    """Read a request from the text of its file.

    Raises:
        ValueError: saying what is wrong with it.
    """
    try:
        return _ANY.validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        words = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems[:3]]
        raise ValueError("; ".join(word.removeprefix(": ") for word in words)) from error


def who() -> str:
    """Return who asks: user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
