"""The state of an epoch in progress, so that it can be interrupted and resumed bit for bit.

It holds the random generators, the position and the figures so far. Weights and the optimiser's
moments belong to the training. A step of the optimiser is done whole or not at all.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

ShouldStop = Callable[[], bool]
"""Asked after every step of the optimiser whether to interrupt the epoch there."""


def never_stop() -> bool:
    """Return False: train the epoch to its end."""
    return False


class EpochInterrupted(Exception):
    """An epoch was interrupted between two steps of the optimiser, as requested."""

    def __init__(self, epoch: int, steps: int, total_steps: int) -> None:
        super().__init__(f"epoch {epoch} was interrupted after {steps} of {total_steps} steps")
        self.epoch = epoch
        self.steps = steps
        """Steps done."""
        self.total_steps = total_steps
        """Steps of the whole epoch."""


@dataclass(frozen=True)
class EpochResult:
    """Figures of one epoch; `parts` are the loss's own figures, averaged over batches."""

    train_loss: float
    learning_rate: float
    """At the epoch's last step."""
    utterances_per_second: float
    parts: dict[str, float]


@dataclass
class EpochState:
    """Position in an epoch, and the random generators that its next batch draws from."""

    number: int
    """From 1."""
    generator: torch.Generator
    """Augmentation draws from it; on the CPU."""
    batches: int = 0
    """Batches done."""
    utterances: int = 0
    rate: float = 0.0
    """Learning rate of the last step."""
    seconds: float = 0.0
    """Time that the finished parts of the epoch took, without the current part."""
    figures: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    """Loss and its parts, one number per batch."""
    generator_states: dict[str, Tensor] = field(default_factory=dict)
    """States of torch's own generators at the interruption, by the kind of device."""

    @classmethod
    def from_start(cls, seed: int, number: int) -> "EpochState":
        """Create the state of an epoch before its first batch."""
        return cls(number, torch.Generator().manual_seed(mix_seed(seed, number)))

    @contextmanager
    def own_generators(self, seed: int, device: torch.device) -> Iterator[None]:
        """Set torch's own generators to this epoch's state; put the former state back at the end.

        Dropout draws from them, so they must continue exactly where the interruption left them.
        """
        with seeded(seed, self.number):
            for kind, state in self.generator_states.items():
                # An epoch that was interrupted on another kind of device has no state for this
                # one, which then keeps the epoch's seed: not bit for bit, but well defined.
                if kind == "cpu":
                    torch.set_rng_state(state)
                elif kind == device.type:
                    torch.get_device_module(device).set_rng_state(state, device)
            yield

    def save_generators(self, device: torch.device) -> None:
        """Store the generators' states; to be called inside `own_generators`."""
        self.generator_states = {"cpu": torch.get_rng_state()}
        if device.type != "cpu":
            self.generator_states[device.type] = torch.get_device_module(device).get_rng_state(
                device
            )

    def add_batch(self, utterances: int, figures: dict[str, Tensor]) -> None:
        """Count one more batch and keep its figures."""
        self.batches += 1
        self.utterances += utterances
        for name, value in figures.items():
            # Still on the device: reading a number here would wait for the GPU at every batch.
            self.figures[name].append(value.detach())

    def result(self) -> EpochResult:
        """Return the figures of the epoch, at its end."""
        means = {
            name: float(torch.stack(values).double().mean())
            for name, values in self.figures.items()
        }
        return EpochResult(
            train_loss=means.pop("loss"),
            learning_rate=self.rate,
            utterances_per_second=self.utterances / self.seconds,
            parts=means,
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state as tensors by name, and numbers that JSON can hold."""
        tensors = {"generator": self.generator.get_state()}
        tensors |= {f"chance.{kind}": state for kind, state in self.generator_states.items()}
        tensors |= {f"figures.{name}": torch.stack(all_) for name, all_ in self.figures.items()}
        numbers = {
            "number": self.number,
            "batches": self.batches,
            "utterances": self.utterances,
            "rate": self.rate,
            "seconds": self.seconds,
        }
        return tensors, numbers

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], numbers: dict[str, Any], device: torch.device
    ) -> "EpochState":
        """Restore what `state` returned, with the figures on the device."""
        generator = torch.Generator()
        generator.set_state(tensors["generator"])
        epoch = cls(generator=generator, **numbers)
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            if part == "chance":
                epoch.generator_states[rest] = tensor
            elif part == "figures":
                epoch.figures[rest] = [*tensor.to(device).unbind()]
        return epoch


def count_steps(batches: int, batches_per_step: int) -> int:
    """Return how many steps of the optimiser so many batches make; the last step may have fewer."""
    return math.ceil(batches / batches_per_step)


def mix_seed(seed: int, epoch: int) -> int:
    """Mix two numbers into one seed; the constants only keep neighbouring seeds apart."""
    return (seed * 1_000_003 + epoch * 7_919 + 17) % (2**63)


@contextmanager
def seeded(seed: int, epoch: int) -> Iterator[None]:
    """Seed torch's own generator, for dropout and initialisation; restore it at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(mix_seed(seed, epoch))
        yield
