"""The base class of all configs."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

MOST_ENTRIES = 1000
"""Of a list in a config, such as the blocks of an encoder; published networks have under 100."""


class FrozenModel(BaseModel):
    """A frozen piece of a config; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_entries(cls, given: Any) -> Any:
        """Refuse lists that are too long before their entries are looked at."""
        for name, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, list | tuple) and len(value) > MOST_ENTRIES:
                raise ValueError(f"{name} has {len(value)} entries; at most {MOST_ENTRIES} fit")
        return given
