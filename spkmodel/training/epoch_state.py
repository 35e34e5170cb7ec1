"""An epoch under way: what it has drawn and measured so far, so that it can be left, and gone on.

Weights and the optimiser's moments are the training's own; a step is the smallest part of an epoch
that is done whole or not at all.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Leave = Callable[[], bool]
"""Asked after every step of the optimiser whether to leave the epoch where it is."""


def never() -> bool:
    """Stay to the end."""
    return False


class EpochInterrupted(Exception):
    """The epoch under way was left between two steps of the optimiser, as was asked."""

    def __init__(self, epoch: int, steps: int, of: int) -> None:
        super().__init__(f"epoch {epoch} was left after {steps} of {of} steps")
        self.epoch = epoch
        self.steps = steps
        """Done of the epoch."""
        self.of = of
        """That the epoch has."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch was like; `parts` are the loss's own figures, averaged over batches."""

    train_loss: float
    learning_rate: float
    """At the epoch's last step."""
    utterances_per_second: float
    parts: dict[str, float]


@dataclass
class EpochState:
    """How far an epoch has come, and the chance that its next batch draws from."""

    number: int
    """From 1."""
    generator: torch.Generator
    """What augmentation draws from; on the CPU."""
    batches: int = 0
    """Done."""
    utterances: int = 0
    rate: float = 0.0
    """Of the last step."""
    seconds: float = 0.0
    """That its parts have taken, the one at work apart."""
    figures: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    """Loss and its parts, a number a batch."""
    chance: dict[str, Tensor] = field(default_factory=dict)
    """States of torch's own generators where it was left, by the kind of device."""

    @classmethod
    def begun(cls, seed: int, number: int) -> "EpochState":
        """An epoch before its first batch."""
        return cls(number, torch.Generator().manual_seed(mixed(seed, number)))

    @contextmanager
    def own_chance(self, seed: int, device: torch.device) -> Iterator[None]:
        """Torch's own generators as this epoch has them, put back at the end."""
        with seeded(seed, self.number):
            for kind, state in self.chance.items():
                # What was left on a device of another kind has no state for this one.
                if kind == "cpu":
                    torch.set_rng_state(state)
                elif kind == device.type:
                    torch.get_device_module(device).set_rng_state(state, device)
            yield

    def note_chance(self, device: torch.device) -> None:
        """Remember the generators' states, inside of `own_chance`."""
        self.chance = {"cpu": torch.get_rng_state()}
        if device.type != "cpu":
            self.chance[device.type] = torch.get_device_module(device).get_rng_state(device)

    def take(self, utterances: int, figures: dict[str, Tensor]) -> None:
        """One more batch."""
        self.batches += 1
        self.utterances += utterances
        for name, value in figures.items():
            self.figures[name].append(value.detach())

    def result(self) -> EpochResult:
        """What it was like, at its end."""
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
        """Tensors by name, and what JSON can hold."""
        tensors = {"generator": self.generator.get_state()}
        tensors |= {f"chance.{kind}": state for kind, state in self.chance.items()}
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
    def of_state(
        cls, tensors: dict[str, Tensor], numbers: dict[str, Any], device: torch.device
    ) -> "EpochState":
        """What `state` gave, its figures on the device."""
        generator = torch.Generator()
        generator.set_state(tensors["generator"])
        epoch = cls(generator=generator, **numbers)
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            if part == "chance":
                epoch.chance[rest] = tensor
            elif part == "figures":
                epoch.figures[rest] = [*tensor.to(device).unbind()]
        return epoch


def steps_of(batches: int, batches_per_step: int) -> int:
    """How many steps of the optimiser so many batches of an epoch are; the last may have fewer."""
    return math.ceil(batches / batches_per_step)


def mixed(seed: int, epoch: int) -> int:
    """One seed from two numbers; the constants only keep neighbouring seeds apart."""
    return (seed * 1_000_003 + epoch * 7_919 + 17) % (2**63)


@contextmanager
def seeded(seed: int, epoch: int) -> Iterator[None]:
    """Seed torch's own generator, which dropout and initialisation draw from, and put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(mixed(seed, epoch))
        yield
