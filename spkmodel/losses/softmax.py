"""Classification of the training speakers: softmax, and softmax with a margin."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput


class SoftmaxLoss(nn.Module):
    """Cross-entropy of a dense layer over the training speakers."""

    def __init__(self, embedding_dim: int, speakers: int) -> None:
        super().__init__()
        self.dense = nn.Linear(embedding_dim, speakers)

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        logits = self.dense(embeddings)
        return _classified(logits, logits, speakers)


class AMSoftmaxLoss(nn.Module):
    """Additive margin softmax (Wang et al. 2018, arXiv:1801.05599, eq. 6)."""

    def __init__(self, embedding_dim: int, speakers: int, margin: float, scale: float) -> None:
        super().__init__()
        self.weight = _class_directions(embedding_dim, speakers)
        self.margin = margin
        self.scale = scale

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        cosines = _cosines(embeddings, self.weight)
        of_target = cosines.gather(1, speakers[:, None]) - self.margin
        logits = self.scale * cosines.scatter(1, speakers[:, None], of_target)
        return _classified(logits, cosines, speakers)


class AAMSoftmaxLoss(nn.Module):
    """Additive angular margin softmax (Deng et al. 2019, arXiv:1801.07698, eq. 3).

    Where the target's angle plus the margin would pass pi, cos(angle + margin) would rise again.
    There it is replaced by cos(angle) - margin sin(margin), as in voxceleb_trainer, so that a
    worse angle never costs less. WeSpeaker and 3D-Speaker go on with another line at this place:
    cos(angle) - 1 + cos(margin).
    """

    def __init__(self, embedding_dim: int, speakers: int, margin_rad: float, scale: float) -> None:
        super().__init__()
        self.weight = _class_directions(embedding_dim, speakers)
        self.margin_rad = margin_rad
        self.scale = scale

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        cosines = _cosines(embeddings, self.weight)
        of_target = self._shifted(cosines.gather(1, speakers[:, None]))
        logits = self.scale * cosines.scatter(1, speakers[:, None], of_target)
        return _classified(logits, cosines, speakers)

    def _shifted(self, cosines: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 1"]:
        """The cosine of the angle that is the margin wider."""
        margin = self.margin_rad
        squared_sines = 1 - cosines.square()
        # The slope of the root is infinite at 0; there the sine is 0 and takes no gradient.
        has_sine = squared_sines > 0
        sines = torch.where(has_sine, squared_sines, 1.0).sqrt() * has_sine
        shifted = cosines * math.cos(margin) - sines * math.sin(margin)
        line = cosines - margin * math.sin(margin)  # sin(pi - margin) = sin(margin)
        return torch.where(cosines > math.cos(math.pi - margin), shifted, line)


def _class_directions(embedding_dim: int, speakers: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(speakers, embedding_dim)))


def _cosines(
    embeddings: Float[Tensor, "batch dim"], weight: Float[Tensor, "speakers dim"]
) -> Float[Tensor, "batch speakers"]:
    return F.linear(F.normalize(embeddings), F.normalize(weight))


def _classified(
    logits: Float[Tensor, "batch speakers"],
    plain: Float[Tensor, "batch speakers"],
    speakers: Int[Tensor, " batch"],
) -> LossOutput:
    """Cross-entropy of `logits`; the accuracy is that of `plain`, without a margin."""
    correct = plain.detach().argmax(dim=1) == speakers
    return LossOutput(F.cross_entropy(logits, speakers), {"accuracy": correct.float().mean()})
