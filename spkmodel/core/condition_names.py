"""The conditions that pairs are judged in, by name; what they are is in `conditions`."""

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
