"""An anchor should be closer to its own speaker than to any other, by a margin."""

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput
from spkmodel.mining import Strategy, mine

Distance: TypeAlias = Literal["euclidean", "squared", "cosine"]
_ACTIVE = 1e-16  # a triplet whose loss is not above this has nothing left to teach


class TripletLoss(nn.Module):
    """relu(d(anchor, positive) - d(anchor, negative) + margin) over the triplets of a batch.

    With batch_all the mean is over the active triplets only (Hermans et al. 2017,
    arXiv:1703.07737), with the other strategies over all that were mined. A batch without any
    gives 0. `active_triplet_fraction` is the share of the mined triplets with a loss above zero.
    """

    def __init__(
        self, margin: float, mining: Strategy, distance: Distance, normalise: bool
    ) -> None:
        super().__init__()
        self.margin = margin
        self.mining: Strategy = mining
        self.distance: Distance = distance
        self.normalise = normalise

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        if self.normalise:
            embeddings = F.normalize(embeddings)
        distances = distances_between(embeddings, self.distance)
        triplets = mine(distances, speakers, strategy=self.mining, margin=self.margin)
        to_positive = distances[triplets.anchor, triplets.positive]
        to_negative = distances[triplets.anchor, triplets.negative]
        losses = F.relu(to_positive - to_negative + self.margin)
        active = torch.count_nonzero(losses.detach() > _ACTIVE)
        counted = active if self.mining == "batch_all" else torch.tensor(len(triplets))
        # A sum over nothing still has a graph; a mean over nothing would be nan.
        loss = losses.sum() / counted.clamp(min=1)
        fraction = active / max(len(triplets), 1)
        return LossOutput(loss, {"active_triplet_fraction": fraction})


def distances_between(
    embeddings: Float[Tensor, "batch dim"], distance: Distance
) -> Float[Tensor, "batch batch"]:
    """Distances between all rows; the gradient at distance 0 is 0."""
    match distance:
        case "euclidean":
            return _euclidean(embeddings)
        case "squared":
            return _euclidean(embeddings).square()
        case "cosine":
            units = F.normalize(embeddings)
            return 1 - units @ units.T
        case other:
            raise ValueError(f"distance must be euclidean, squared or cosine, got {other!r}")


def _euclidean(embeddings: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch batch"]:
    # Not by way of the products of rows: it would lose the small distances, which decide most.
    return torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
