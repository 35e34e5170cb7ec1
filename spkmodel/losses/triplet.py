"""Triplet losses: an anchor should be closer to its own speaker than to others, by a margin."""

from typing import Literal, TypeAlias, assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.margins import Margin
from spkmodel.losses.mining import Rank, Strategy, mine
from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision

Distance: TypeAlias = Literal["euclidean", "squared", "cosine"]
Form: TypeAlias = Literal["hinge", "softplus", "positives_only"]
_ACTIVE = 1e-16  # a triplet whose loss is not above this has nothing left to teach


class TripletLoss(nn.Module):
    """Triplet loss, averaged over the triplets of a batch.

    With the excess e = d(anchor, positive) - d(anchor, negative) + margin, a triplet costs
    relu(e) (hinge), or log(1 + exp(e)) (softplus, at margin 0 the soft margin of Hermans et al.
    2017, arXiv:1703.07737), or d(anchor, positive) alone (positives_only).

    With batch_all the mean is over the triplets that cost something (Hermans et al.), with the
    other strategies over all that were mined. A batch without any gives 0.
    `active_triplet_fraction` is the share of the mined triplets with e above 0 (positives_only:
    with a positive that is not on the anchor).

    Strategies with chance in them draw from torch's own generator.
    """

    def __init__(
        self,
        margin: Margin,
        mining: Strategy | Rank,
        distance: Distance,
        normalise: bool,
        form: Form,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.mining: Strategy | Rank = mining
        self.distance: Distance = distance
        self.normalise = normalise
        self.form: Form = form

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            if self.normalise:
                exact = F.normalize(exact)
            distances = distances_between(exact, self.distance)
            triplets = mine(distances, speakers, strategy=self.mining, margin=self.margin.now)
            to_positive = distances[triplets.anchor, triplets.positive]
            to_negative = distances[triplets.anchor, triplets.negative]
            losses, violations = self._costs(to_positive, to_negative)
            active = torch.count_nonzero(violations > _ACTIVE)
            # A mean over all triplets would vanish as training goes on: most cost nothing then.
            counted = torch.count_nonzero(losses.detach() > _ACTIVE)
            if self.mining != "batch_all":
                counted = torch.full_like(counted, len(triplets))
            # A sum over nothing still has a graph; a mean over nothing would be nan.
            loss = losses.sum() / counted.clamp(min=1)
        figures = {"active_triplet_fraction": active / max(len(triplets), 1)}
        if self.form != "positives_only":
            figures["margin"] = loss.new_tensor(self.margin.now)
        return LossOutput(loss, figures)

    def _costs(
        self, to_positive: Float[Tensor, " triplets"], to_negative: Float[Tensor, " triplets"]
    ) -> tuple[Float[Tensor, " triplets"], Float[Tensor, " triplets"]]:
        """Return each triplet's loss, and by how much it violates its constraint."""
        excess = to_positive - to_negative + self.margin.now
        match self.form:
            case "hinge":
                return F.relu(excess), excess.detach()
            case "softplus":
                return F.softplus(excess), excess.detach()
            case "positives_only":
                return to_positive, to_positive.detach()
            case _:
                assert_never(self.form)


def distances_between(
    embeddings: Float[Tensor, "batch dim"], distance: Distance
) -> Float[Tensor, "batch batch"]:
    """Return the distances between all rows; the gradient at distance 0 is 0."""
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
