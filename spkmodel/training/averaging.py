"""Keep a moving average of the weights of an encoder and its loss."""

import copy

import torch
from torch import Tensor, nn

from spkmodel.config import EMA


class WeightAverage:
    """An averaged copy of the encoder, ready to embed, and the averaged weights of the loss.

    The running statistics of norms are averaged like weights: those of the last step belong to
    other weights than the averaged ones, and recomputing them would take a pass over the corpus.
    """

    def __init__(self, ema: EMA, encoder: nn.Module, loss: nn.Module) -> None:
        self._ema = ema
        self._live = {"encoder": encoder, "loss": loss}
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self._loss = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
        self.steps = 0
        """Steps of the optimiser that were averaged so far."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages, by the names of the weights that they are of."""
        return named_tensors({"encoder": self.encoder}) | {
            f"loss.{name}": tensor for name, tensor in self._loss.items()
        }

    def replace_loss(self, loss: nn.Module) -> None:
        """Average the weights of another loss module from now on; its names are the same."""
        self._live["loss"] = loss

    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Load an average that was saved."""
        with torch.no_grad():
            for name, own in self.tensors().items():
                own.copy_(tensors[name])
        self.steps = steps

    def update(self) -> None:
        """Take the weights after a step of the optimiser into the average."""
        self.steps += 1
        decay = decay_after(self._ema, self.steps)
        averages, live = self.tensors(), named_tensors(self._live)
        floating = [name for name, tensor in averages.items() if tensor.is_floating_point()]
        with torch.no_grad():
            # One call for all weights: a call for each would cost more than the step on a GPU.
            torch._foreach_lerp_(
                [averages[name] for name in floating], [live[name] for name in floating], 1 - decay
            )
            # Counters of batches have no average.
            for name in averages.keys() - set(floating):
                averages[name].copy_(live[name])


def decay_after(ema: EMA, steps: int) -> float:
    """Return the share of the old average in the new one after `steps` steps, counted from 1."""
    # Early on the average follows the weights closely: it began as the random first weights.
    return min(ema.decay, (1 + steps) / (10 + steps)) if ema.warm_up else ema.decay


def named_tensors(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """Return the weights and buffers of several modules, each name prefixed by its module's."""
    return {
        f"{prefix}.{name}": tensor
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
