"""Names of the conditions in which pairs are evaluated; `augment.conditions` defines them."""

from typing import Literal

Condition = Literal[
    "clean", "mismatched", "telephone", "short", "far_field", "codec", "quiet", "clipped"
]
CONDITIONS: tuple[Condition, ...] = (
    "clean",
    "mismatched",
    "telephone",
    "short",
    "far_field",
    "codec",
    "quiet",
    "clipped",
)
SOMEWHERE: tuple[Condition, ...] = ("mismatched", "far_field")
"""Those that take place somewhere: in rooms and ambiences, by split."""
