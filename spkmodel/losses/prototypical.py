"""Telling the speakers of a batch apart by their own other utterances."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput


class AngularPrototypicalLoss(nn.Module):
    """Angular prototypical loss (Chung et al. 2020, arXiv:2003.11982, eq. 7).

    The first utterance of each speaker in the batch is the query; the mean of the speaker's other
    utterances is the prototype. Scale and bias of the cosines are learned.
    """

    def __init__(self, initial_scale: float, initial_bias: float) -> None:
        super().__init__()
        # The scale is softplus of this, so that no step of the optimiser makes it negative.
        self.scale_before_softplus = nn.Parameter(
            torch.tensor(initial_scale + math.log(-math.expm1(-initial_scale)))
        )
        self.bias = nn.Parameter(torch.tensor(initial_bias))

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What the cosines are multiplied with; always positive."""
        return F.softplus(self.scale_before_softplus)

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        queries, prototypes = _queries_and_prototypes(embeddings, speakers)
        cosines = F.linear(F.normalize(queries), F.normalize(prototypes))  # (speakers, speakers)
        own = torch.arange(len(queries), device=embeddings.device)
        loss = F.cross_entropy(self.scale * cosines + self.bias, own)
        correct = cosines.detach().argmax(dim=1) == own
        return LossOutput(loss, {"accuracy": correct.float().mean()})


def _queries_and_prototypes(
    embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "speakers dim"], Float[Tensor, "speakers dim"]]:
    present, group, counts = torch.unique(speakers, return_inverse=True, return_counts=True)
    if bool((counts < 2).any()):
        alone = present[counts < 2][0].item()
        raise ValueError(
            "the angular prototypical loss needs at least 2 utterances of each speaker in a "
            f"batch, got 1 of speaker {alone}"
        )
    by_speaker = group.argsort(stable=True)
    first = by_speaker[counts.cumsum(0) - counts]
    is_query = torch.zeros_like(group, dtype=torch.bool).index_fill(0, first, True)
    others = embeddings.new_zeros(len(present), embeddings.shape[1]).index_add(
        0, group[~is_query], embeddings[~is_query]
    )
    return embeddings[first], others / (counts - 1)[:, None]
