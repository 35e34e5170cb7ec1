"""Move the margin of a loss while training proceeds."""

from collections.abc import Callable
from typing import assert_never

from torch import nn

from spkmodel.config import (
    ConstantMargin,
    ExponentialMargin,
    LinearMargin,
    MarginSchedule,
    StepMargin,
)

# WeSpeaker divides by 1 + 1e-6 here: a difference of 1e-6 of what is left to go.
_LEFT_AT_THE_END = 1e-3


class Margin(nn.Module):
    """A scheduled margin: `now` is its value after the epochs last set; 0 at first.

    A module without weights, so that `set_epochs` finds it at any depth. It is no part of a
    checkpoint: the epochs are.
    """

    def __init__(self, after: Callable[[float], float]) -> None:
        super().__init__()
        self._after = after
        self.now = after(0.0)

    def set_epochs(self, epochs: float | int) -> None:
        """Set the margin to its scheduled value after `epochs` epochs."""
        self.now = self._after(epochs)


def set_epochs(module: nn.Module, epochs: float | int) -> None:
    """Set how many epochs were trained in a loss and all its parts (fractions count steps)."""
    for part in module.modules():
        if isinstance(part, Margin):
            part.set_epochs(epochs)


def margin_after(schedule: MarginSchedule, full: float | int, epochs: float | int) -> float:
    """Return the margin after `epochs` epochs; `full` is the loss's own."""
    match schedule:
        case ConstantMargin():
            return full
        case StepMargin():
            return full if epochs >= schedule.at_epoch else schedule.initial
        # Both begin at `initial` and are exactly `full` from `to_epoch` on.
        case LinearMargin():
            done = _done(epochs, schedule.from_epoch, schedule.to_epoch)
            return schedule.initial + (full - schedule.initial) * done
        case ExponentialMargin():
            done = _done(epochs, schedule.from_epoch, schedule.to_epoch)
            left = _LEFT_AT_THE_END**done if done < 1 else 0.0
            return full - (full - schedule.initial) * left
        case _:
            assert_never(schedule)


def _done(epochs: float | int, start: float, end: float) -> float:
    """Return 0 up to `start`, 1 from `end` on, and a straight line between."""
    return min(1.0, max(0.0, (epochs - start) / (end - start)))
