"""Classification and triplets on the same embeddings, as the log does from entry 112 on."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput
from spkmodel.losses.triplet import TripletLoss


class CombinedLoss(nn.Module):
    """Sum of a classification loss and the weighted triplet loss."""

    def __init__(
        self, classification: nn.Module, triplet: TripletLoss, triplet_weight: float
    ) -> None:
        super().__init__()
        self.classification = classification
        self.triplet = triplet
        self.triplet_weight = triplet_weight

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        classified: LossOutput = self.classification(embeddings, speakers)
        spread: LossOutput = self.triplet(embeddings, speakers)
        own = {
            "classification_loss": classified.loss.detach(),
            "triplet_loss": spread.loss.detach(),
        }
        return LossOutput(
            classified.loss + self.triplet_weight * spread.loss,
            classified.parts | spread.parts | own,
        )
