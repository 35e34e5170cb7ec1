"""The base class of all configs."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A frozen piece of a config; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
