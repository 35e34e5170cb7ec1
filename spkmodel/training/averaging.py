"""A moving average of weights beside the weights themselves."""

import copy

import torch
from torch import Tensor, nn

from spkmodel.config import EMA


class WeightAverage:
    """The averaged encoder, ready to embed, and the averaged weights of the loss beside it.

    Running statistics of norms are averaged as weights are: those of the last step belong to other
    weights than the averaged ones, and those of the average would take a pass over the corpus.
    """

    def __init__(self, ema: EMA, encoder: nn.Module, loss: nn.Module) -> None:
        self._ema = ema
        self._live = {"encoder": encoder, "loss": loss}
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self._loss = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
        self.steps = 0
        """Averaged so far."""

    def tensors(self) -> dict[str, Tensor]:
        """The averages themselves, by the names of the live ones."""
        return named({"encoder": self.encoder}) | {
            f"loss.{name}": tensor for name, tensor in self._loss.items()
        }

    def replace_loss(self, loss: nn.Module) -> None:
        """Follow another module with the same weights."""
        self._live["loss"] = loss

    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Go on from an average that was saved."""
        with torch.no_grad():
            for name, own in self.tensors().items():
                own.copy_(tensors[name])
        self.steps = steps

    def update(self) -> None:
        """Take in the weights after a step of the optimiser."""
        self.steps += 1
        decay = decay_after(self._ema, self.steps)
        averages, live = self.tensors(), named(self._live)
        floating = [name for name, tensor in averages.items() if tensor.is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_(
                [averages[name] for name in floating], [live[name] for name in floating], 1 - decay
            )
            for name in averages.keys() - set(floating):
                averages[name].copy_(live[name])


def decay_after(ema: EMA, steps: int) -> float:
    """The share of the old average in the new one after `steps` steps, from 1."""
    return min(ema.decay, (1 + steps) / (10 + steps)) if ema.warm_up else ema.decay


def named(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Weights and buffers of several modules, each name with its module's before it."""
    return {
        f"{prefix}.{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
