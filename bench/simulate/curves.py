"""What a simulated training gives: its curve, and the families that curves come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from search.space.branches import Space

EPOCHS = 27
"""Of a training that goes to its end."""

CHANCE_EER = 0.5

Axes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Curve:
    """One training, epoch by epoch. Rates are fractions."""

    true: Float[np.ndarray, " epochs"]
    """EER without noise."""
    seen: Float[np.ndarray, " epochs"]
    """EER as it is measured; NaN from the epoch on in which the training diverges."""
    seconds: Float[np.ndarray, " epochs"]
    """Of an epoch; an epoch of the default config takes one."""


class Family(Protocol):
    """A space, and the curve of every config in it."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    @property
    def space(self) -> Space:
        """What a search of it asks."""
        ...

    def curve(self, axes: Axes) -> Curve:
        """Return the curve; the same answers always give the same."""
        ...


FamilyOfSeed = Callable[[int], Family]


def noise_of(seed: int, axes: Axes, most: int = 2) -> np.random.Generator:
    """Return random numbers that depend on the family's seed and the answers only.

    So a config that two searches try gives both of them the same measurements.
    """
    text = ",".join(f"{name}={axes[name]!r}" for name in sorted(axes))
    return np.random.default_rng([seed, most, *text.encode()])
