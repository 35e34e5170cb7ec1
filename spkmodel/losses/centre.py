"""Centre loss: draw the embeddings of each speaker towards one centre."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision
from spkmodel.losses.speaker_groups import group_by_speaker


class CentreLoss(nn.Module):
    """Centre loss (Wen et al. 2016, eq. 2), averaged over the batch.

    Centres start at 0. In training mode each call moves those of the batch's speakers, after the
    loss is computed, by eq. 3 and 4: rate x sum(centre - embedding) / (1 + utterances). They have
    no gradient, and are part of the state.
    """

    centres: Float[Tensor, "speakers dim"]

    def __init__(
        self, embedding_dim: int, speakers: int, centre_rate: float, normalise: bool
    ) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(speakers, embedding_dim))
        self.centre_rate = centre_rate
        self.normalise = normalise

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            if self.normalise:
                exact = F.normalize(exact)
            away = exact - self.centres[speakers]
            squared = away.square().sum(dim=1)
            # Outside training mode the centres must not move: an evaluation would train them.
            if self.training:
                self._move(away.detach(), speakers)
        return LossOutput(0.5 * squared.mean(), {"centre_distance": squared.detach().sqrt().mean()})

    def _move(self, away: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]) -> None:
        # The 1 keeps a speaker with a single utterance from jumping all the way (eq. 4).
        steps = away * (self.centre_rate / (1 + group_by_speaker(speakers).counts))[:, None]
        self.centres.index_add_(0, speakers, steps.to(self.centres.dtype))
