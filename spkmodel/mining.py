"""Which triplets of a batch a triplet loss looks at: a pure function of distances and speakers."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Strategy: TypeAlias = Literal["batch_all", "batch_hard", "batch_semi_hard"]


@dataclass(frozen=True, slots=True)
class Triplets:
    """Rows of the batch: anchor and positive share a speaker, the negative has another one."""

    anchor: Int[Tensor, " triplets"]
    positive: Int[Tensor, " triplets"]
    negative: Int[Tensor, " triplets"]

    def __len__(self) -> int:
        return len(self.anchor)


@torch.no_grad()
def mine(
    distances: Float[Tensor, "batch batch"],
    speakers: Int[Tensor, " batch"],
    strategy: Strategy,
    margin: float | int,
) -> Triplets:
    """Choose triplets by the distances between all rows of a batch.

    Utterances whose speaker is alone in the batch anchor no triplet.

    Args:
        distances: any kind, smaller is more alike; the diagonal is not looked at.
        speakers: the speaker of each row.
        strategy:
            batch_all: every valid triplet, active or not (Hermans et al. 2017, arXiv:1703.07737).
            batch_hard: for each anchor its farthest positive and its nearest negative (the same).
            batch_semi_hard: for each anchor and positive the nearest negative beyond the positive
            and within the margin; if there is none, the farthest negative (after Schroff et al.
            2015, arXiv:1503.03832).
        margin: in the units of `distances`; only batch_semi_hard looks at it.
    """
    same = speakers[:, None] == speakers[None, :]
    is_negative = ~same
    is_positive = same & ~torch.eye(len(speakers), dtype=torch.bool, device=same.device)
    match strategy:
        case "batch_all":
            return _all(is_positive, is_negative)
        case "batch_hard":
            return _hard(distances, is_positive, is_negative)
        case "batch_semi_hard":
            return _semi_hard(distances, is_positive, is_negative, margin)
        case other:
            raise ValueError(
                f"mining must be batch_all, batch_hard or batch_semi_hard, got {other!r}"
            )


def _all(
    is_positive: Bool[Tensor, "batch batch"], is_negative: Bool[Tensor, "batch batch"]
) -> Triplets:
    anchor, positive = torch.nonzero(is_positive, as_tuple=True)
    pair, negative = torch.nonzero(is_negative[anchor], as_tuple=True)
    return Triplets(anchor[pair], positive[pair], negative)


def _hard(
    distances: Float[Tensor, "batch batch"],
    is_positive: Bool[Tensor, "batch batch"],
    is_negative: Bool[Tensor, "batch batch"],
) -> Triplets:
    anchor = torch.nonzero(is_positive.any(dim=1) & is_negative.any(dim=1))[:, 0]
    farthest = distances.masked_fill(~is_positive, -torch.inf).argmax(dim=1)
    nearest = distances.masked_fill(~is_negative, torch.inf).argmin(dim=1)
    return Triplets(anchor, farthest[anchor], nearest[anchor])


def _semi_hard(
    distances: Float[Tensor, "batch batch"],
    is_positive: Bool[Tensor, "batch batch"],
    is_negative: Bool[Tensor, "batch batch"],
    margin: float | int,
) -> Triplets:
    anchor, positive = torch.nonzero(is_positive & is_negative.any(dim=1)[:, None], as_tuple=True)
    to_positive = distances[anchor, positive][:, None]  # (pairs, 1)
    to_others = distances[anchor]  # (pairs, batch)
    fits = is_negative[anchor] & (to_others > to_positive) & (to_others < to_positive + margin)
    nearest = to_others.masked_fill(~fits, torch.inf).argmin(dim=1)
    farthest = distances.masked_fill(~is_negative, -torch.inf).argmax(dim=1)[anchor]
    return Triplets(anchor, positive, torch.where(fits.any(dim=1), nearest, farthest))
