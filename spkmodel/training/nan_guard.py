"""Detect values that are not finite: at once on the CPU, now and then on an accelerator."""

import math

import torch
from torch import Tensor

_CHECK_EVERY = 100
"""Numbers, on an accelerator: to ask whether one is finite waits for all the work before it."""


class Diverged(RuntimeError):
    """The loss or the gradient is no longer finite."""


class NaNGuard:
    """Raise `Diverged` for a loss or gradient that is not finite, before it is reported."""

    def __init__(self, device: torch.device, *, at_once: bool) -> None:
        self._at_once = at_once
        self._device = device
        self.begin(0)

    def begin(self, epoch: int) -> None:
        self._epoch, self._seen = epoch, 0
        self._all_finite = torch.ones((), dtype=torch.bool, device=self._device)

    def see(self, what: str, value: Tensor) -> None:
        # On the CPU the value is there already; on an accelerator, reading it would stall.
        if self._at_once:
            number = float(value.detach())
            if not math.isfinite(number):
                raise Diverged(f"{what} is {number} in epoch {self._epoch}")
            return
        # Collected on the device, without waiting.
        self._all_finite &= value.detach().isfinite()
        self._seen += 1
        if self._seen % _CHECK_EVERY == 0:
            self.end()

    def end(self) -> None:
        if not bool(self._all_finite):
            raise Diverged(
                f"the loss or the gradient's norm is no longer finite in epoch {self._epoch}"
            )
