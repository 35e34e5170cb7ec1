"""Queued trials: configs that a user asked for, tried before the sampler's next suggestion.

One may start from the weights of another one; then it waits until that one's trial is complete.
"""

from dataclasses import dataclass, field
from typing import Any

DEFAULT_KEY = "default"
"""Key in the queue of the trial of the default configuration."""

DEFAULT_ORIGIN = "default"
"""Origin of that trial."""

FULL_LENGTH_PREFIX = "retrain/"
"""How the keys begin of trials that are trained to the last epoch whatever the others do."""


@dataclass(frozen=True, slots=True)
class QueuedTrial:
    """A trial that is to be created."""

    key: str
    """Its own in the queue of a search; a second one of the same key is not taken."""
    config: dict[str, Any]
    origin: str
    """Where it comes from, in words that its trial is named with: `entry 116, scaled 1/4`."""
    log_entry: str = ""
    """The entry of a notebook that it is."""
    weights_of: str = ""
    """Key of the queued trial whose trained weights it starts from."""
    axes: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    """By axis, as Optuna's JSON; where there are none, the sampler learns nothing from it."""
