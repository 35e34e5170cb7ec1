"""Triplet losses: an anchor should be closer to its own speaker than to others, by a margin."""

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.all_triplets import NO_COST, Form, TripletSums, costs, sum_all_triplets
from spkmodel.losses.margins import Margin
from spkmodel.losses.mining import Rank, Strategy, choose, find_positives
from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision
from spkmodel.losses.speaker_groups import SpeakerGroups, group_by_speaker

Distance: TypeAlias = Literal["euclidean", "squared", "cosine"]


class TripletLoss(nn.Module):
    """Triplet loss, averaged over the triplets of a batch.

    With the excess e = d(anchor, positive) - d(anchor, negative) + margin, a triplet costs
    relu(e) (hinge), or log(1 + exp(e)) (softplus, at margin 0 the soft margin of Hermans et al.
    2017, arXiv:1703.07737), or d(anchor, positive) alone (positives_only).

    With batch_all the mean is over the triplets that cost something (Hermans et al.), which with a
    soft margin are all; with the other strategies it is over all that were mined. A batch without
    any gives 0.
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
        most_utterances: int | None = None,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.mining: Strategy | Rank = mining
        self.distance: Distance = distance
        self.normalise = normalise
        self.form: Form = form
        self.most_utterances = most_utterances

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            if self.normalise:
                exact = F.normalize(exact)
            distances = distances_between(exact, self.distance)
            sums, triplets = self._sum_costs(distances, group_by_speaker(speakers))
            # A mean over nothing would be nan.
            loss = sums.cost / sums.counted.clamp(min=1)
        figures = {"active_triplet_fraction": sums.active / triplets.clamp(min=1)}
        if self.form != "positives_only":
            figures["margin"] = loss.new_tensor(self.margin.now)
        return LossOutput(loss, figures)

    def _sum_costs(
        self, distances: Float[Tensor, "batch batch"], groups: SpeakerGroups
    ) -> tuple[TripletSums, Int[Tensor, ""]]:
        """Return the sums over the triplets that are mined, and their number."""
        if self.mining == "batch_all":
            positive, is_positive = find_positives(groups, self.most_utterances)
            is_negative = ~groups.same
            triplets = (is_positive.sum(dim=1) * is_negative.sum(dim=1)).sum()
            sums = sum_all_triplets(
                distances, positive, is_positive, is_negative, self.margin.now, self.form
            )
            return sums, triplets
        chosen = choose(distances, groups, self.mining, self.margin.now, self.most_utterances)
        to_positive = distances.gather(1, chosen.positive)
        excess = to_positive - distances.gather(1, chosen.negative) + self.margin.now
        each = torch.where(chosen.is_triplet, costs(self.form, to_positive, excess), 0.0)
        violation = to_positive if self.form == "positives_only" else excess
        active = ((violation > NO_COST) & chosen.is_triplet).sum()
        triplets = chosen.is_triplet.sum()
        return TripletSums(each.sum(), triplets, active), triplets


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
