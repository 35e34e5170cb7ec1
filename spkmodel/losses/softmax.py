"""Classify the training speakers by dense layers."""

from typing import Literal, TypeAlias, assert_never

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision

Head: TypeAlias = Literal["dense", "act_dense", "act_dense_act_dense", "dense_act_dense"]


class SoftmaxLoss(nn.Module):
    """Cross-entropy of what a head makes of an embedding, one logit a training speaker."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            logits = self.head(exact)
            return classified(logits, logits, speakers)


def dense_head(
    head: Head, activation: nn.Module, dropout: float, embedding_dim: int, speakers: int
) -> nn.Sequential:
    """Build the log's OutBlock; dropout lies before the first dense layer, as its code has it."""
    drop = nn.Dropout(dropout)
    last = nn.Linear(embedding_dim, speakers)
    match head:
        case "dense":
            return nn.Sequential(drop, last)
        case "act_dense":
            return nn.Sequential(activation, drop, last)
        case "dense_act_dense":
            return nn.Sequential(drop, nn.Linear(embedding_dim, embedding_dim), activation, last)
        case "act_dense_act_dense":
            hidden = nn.Linear(embedding_dim, embedding_dim)
            return nn.Sequential(activation, drop, hidden, activation, last)
        case _:
            assert_never(head)


def classified(
    logits: Float[Tensor, "batch speakers"],
    plain: Float[Tensor, "batch speakers"],
    speakers: Int[Tensor, " batch"],
) -> LossOutput:
    """Return the cross-entropy of `logits`, and the accuracy of `plain`, which has no margin."""
    # With the margin, the accuracy would fall when the margin rises, and say nothing.
    correct = plain.detach().argmax(dim=1) == speakers
    return LossOutput(F.cross_entropy(logits, speakers), {"accuracy": correct.float().mean()})
