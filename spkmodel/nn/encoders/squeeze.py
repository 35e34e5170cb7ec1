"""Squeeze and excitation (Hu et al. 2018, arXiv:1709.01507), for any number of dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Each channel is scaled by a gate in (0, 1) that is read off the means of all channels."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(
        self, inputs: Float[Tensor, "batch channels *place"]
    ) -> Float[Tensor, "batch channels *place"]:
        means = inputs.mean(dim=tuple(range(2, inputs.dim())))
        gates = torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))
        return inputs * gates.reshape(*gates.shape, *[1] * (inputs.dim() - 2))
