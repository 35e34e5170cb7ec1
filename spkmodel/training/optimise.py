"""Turn gradients into optimiser steps, with clipping, and name the optimiser's state by weight."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from spkmodel.config import SGD, Adam, AdamW, NAdam, Optimiser


class Stepper:
    """An optimiser on named weights."""

    def __init__(
        self, config: Optimiser, weights: Mapping[str, nn.Parameter], clip: float | None
    ) -> None:
        self._config = config
        self._clip = clip
        self._weights = dict(weights)
        self.optimiser = build(config, list(weights.values()))

    def gradient_norm(self) -> Tensor:
        """Return the norm of the gradient over all weights, after scaling a too large one down."""
        weights = list(self._weights.values())
        if self._clip is not None:
            return nn.utils.clip_grad_norm_(weights, self._clip)
        return nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])

    def step(self, rate: float) -> None:
        """Update the weights at a learning rate, and drop the gradient."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.drop_gradient()

    def drop_gradient(self) -> None:
        """Set the gradient of every weight to None."""
        self.optimiser.zero_grad(set_to_none=True)

    def state(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
        """Return tensors as `<weight>.<entry>`, and plain numbers by weight and entry."""
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, dict[str, Any]] = {}
        names = self._names()
        for index, entries in self.optimiser.state_dict()["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{names[index]}.{key}"] = value
                elif value is not None:
                    numbers.setdefault(names[index], {})[key] = value
        return tensors, numbers

    def load(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Mapping[str, Any]]) -> None:
        """Load what `state` returned."""
        entries: dict[str, dict[str, Any]] = defaultdict(dict)
        for name, tensor in tensors.items():
            weight, _, key = name.rpartition(".")
            entries[weight][key] = tensor
        for weight, values in numbers.items():
            entries[weight] |= values
        state = {
            index: entries[name] for index, name in enumerate(self._names()) if name in entries
        }
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        for entry in self.optimiser.state.values():
            if "mu_product" in entry:
                # NAdam makes it on the CPU and reads it at every step; loading takes it to the
                # weights' device, where each reading would wait for all work before it.
                entry["mu_product"] = entry["mu_product"].cpu()

    def named_state(
        self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, Tensor], dict[str, Mapping[str, Any]]]:
        """Convert the state of format 1, which numbered the weights, to what `state` returns.

        Adam had all weights in one group then, in the order of the modules.
        """
        names = list(self._weights) if isinstance(self._config, Adam) else self._names()
        moments = {}
        for name, tensor in tensors.items():
            index, _, key = name.partition(".")
            moments[f"{names[int(index)]}.{key}"] = tensor
        return moments, {names[int(index)]: values for index, values in numbers.items()}

    def _names(self) -> list[str]:
        """Return the names of the weights, in the order in which the optimiser numbers them."""
        name_of = {id(weight): name for name, weight in self._weights.items()}
        groups = self.optimiser.param_groups
        return [name_of[id(weight)] for group in groups for weight in group["params"]]


def build(config: Optimiser, weights: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the optimiser of a config; the weights that it does not decay are a separate group."""
    groups: list[dict[str, Any]] = [{"params": list(weights)}]
    if config.decayed == "kernels":
        groups = [
            {"params": [weight for weight in weights if weight.ndim > 1]},
            # Norms, biases and learned scales do not overfit, and decay would only fight the
            # margin losses' scale.
            {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
        ]
    rate = config.learning_rate
    match config:
        case Adam():
            return torch.optim.Adam(
                groups,
                lr=rate,
                betas=(config.beta1, config.beta2),
                eps=config.epsilon,
                weight_decay=config.l2,
            )
        case AdamW():
            return torch.optim.AdamW(
                groups,
                lr=rate,
                betas=(config.beta1, config.beta2),
                eps=config.epsilon,
                weight_decay=config.weight_decay,
            )
        case NAdam():
            return torch.optim.NAdam(
                groups,
                lr=rate,
                betas=(config.beta1, config.beta2),
                eps=config.epsilon,
                weight_decay=config.l2 or config.weight_decay,
                decoupled_weight_decay=config.weight_decay > 0,
                momentum_decay=config.momentum_decay,
            )
        case SGD():
            return torch.optim.SGD(
                groups,
                lr=rate,
                momentum=config.momentum,
                nesterov=config.nesterov,
                weight_decay=config.l2,
            )
        case _:
            assert_never(config)
