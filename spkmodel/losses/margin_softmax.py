"""Classify the training speakers by direction, with a margin: AM, AAM, sub-centre AAM softmax."""

import math
from typing import assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.config import Fallback
from spkmodel.losses.margins import Margin
from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision
from spkmodel.losses.softmax import classified


class AMSoftmaxLoss(nn.Module):
    """Additive margin softmax (Wang et al. 2018, arXiv:1801.05599, eq. 6)."""

    def __init__(self, embedding_dim: int, speakers: int, margin: Margin, scale: float) -> None:
        super().__init__()
        self.weight = _directions(speakers, embedding_dim)
        self.margin = margin
        self.scale = scale

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            cosines = F.linear(F.normalize(exact), F.normalize(self.weight))
            # Only the own speaker's cosine is lowered; the accuracy is that of the plain cosines.
            of_target = cosines.gather(1, speakers[:, None]) - self.margin.now
            logits = self.scale * cosines.scatter(1, speakers[:, None], of_target)
            output = classified(logits, cosines, speakers)
        margin = output.loss.new_tensor(self.margin.now)
        return LossOutput(output.loss, output.parts | {"margin": margin})


class AAMSoftmaxLoss(nn.Module):
    """Additive angular margin softmax (Deng et al. 2019, arXiv:1801.07698, eq. 3)."""

    def __init__(
        self,
        embedding_dim: int,
        speakers: int,
        margin_rad: Margin,
        scale: float,
        fallback: Fallback,
    ) -> None:
        super().__init__()
        self.weight = _directions(speakers, embedding_dim)
        self.margin_rad = margin_rad
        self.scale = scale
        self.fallback: Fallback = fallback

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            cosines = F.linear(F.normalize(exact), F.normalize(self.weight))
            of_target = add_margin(
                cosines.gather(1, speakers[:, None]), self.margin_rad.now, self.fallback
            )
            logits = self.scale * cosines.scatter(1, speakers[:, None], of_target)
            output = classified(logits, cosines, speakers)
        margin = output.loss.new_tensor(self.margin_rad.now)
        return LossOutput(output.loss, output.parts | {"margin_rad": margin})


class SubCentreAAMSoftmaxLoss(nn.Module):
    """AAM softmax on sub-centres (Deng et al. 2020), with inter-top-k penalty.

    The penalty is that of Zhao et al. 2021 (arXiv:2110.05042, eq. 7).
    """

    def __init__(
        self,
        embedding_dim: int,
        speakers: int,
        margin_rad: Margin,
        scale: float,
        fallback: Fallback,
        centres: int,
        hard_speakers: int,
        penalty_per_margin: float,
    ) -> None:
        super().__init__()
        self.weight = _directions(speakers, centres, embedding_dim)
        self.centres = centres
        self.margin_rad = margin_rad
        self.scale = scale
        self.fallback: Fallback = fallback
        self.hard_speakers = hard_speakers
        self.penalty_per_margin = penalty_per_margin

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        own = speakers[:, None]
        with full_precision(embeddings) as exact:
            centres = F.normalize(self.weight.flatten(0, 1))
            to_centres = F.linear(F.normalize(exact), centres)  # (batch, speakers * centres)
            cosines = to_centres.reshape(len(exact), -1, self.centres).amax(dim=2)
            # Which speakers are hard is a choice, not a quantity: it takes no gradient.
            hard = cosines.detach().scatter(1, own, -torch.inf).topk(self.hard_speakers).indices
            penalty = self.penalty_per_margin * self.margin_rad.now
            shifted = cosines.scatter(
                1, hard, _subtract_penalty(cosines.gather(1, hard), penalty)
            ).scatter(
                1, own, add_margin(cosines.gather(1, own), self.margin_rad.now, self.fallback)
            )
            output = classified(self.scale * shifted, cosines, speakers)
        margin = output.loss.new_tensor(self.margin_rad.now)
        return LossOutput(output.loss, output.parts | {"margin_rad": margin})


def add_margin(
    cosines: Float[Tensor, "batch some"], margin_rad: float, fallback: Fallback
) -> Float[Tensor, "batch some"]:
    """Return the cosine of the angle widened by the margin, or its fallback.

    Past pi - margin, cos(angle + margin) would rise again: a worse angle would cost less.
    """
    # By the addition theorem, not acos: the slope of acos is infinite at 1.
    shifted = cosines * math.cos(margin_rad) - _sines(cosines) * math.sin(margin_rad)
    match fallback:
        case "sine_line":
            below, line = (
                math.cos(math.pi - margin_rad),
                cosines - margin_rad * math.sin(margin_rad),
            )
        case "cosine_line":
            below, line = math.cos(math.pi - margin_rad), cosines - 1 + math.cos(margin_rad)
        case "easy_margin":
            below, line = 0.0, cosines
        case _:
            assert_never(fallback)
    return torch.where(cosines > below, shifted, line)


def _subtract_penalty(
    cosines: Float[Tensor, "batch some"], penalty_rad: float
) -> Float[Tensor, "batch some"]:
    """Return the cosine of the angle narrowed by the penalty."""
    return cosines * math.cos(penalty_rad) + _sines(cosines) * math.sin(penalty_rad)


def _sines(cosines: Float[Tensor, "batch some"]) -> Float[Tensor, "batch some"]:
    squared = 1 - cosines.square()
    # The slope of the root is infinite at 0; there the sine is 0 and takes no gradient.
    has_sine = squared > 0
    return torch.where(has_sine, squared, 1.0).sqrt() * has_sine


def _directions(*shape: int) -> nn.Parameter:
    # As one matrix, so that sub-centres are drawn as wide as centres are.
    drawn = nn.init.xavier_normal_(torch.empty(math.prod(shape[:-1]), shape[-1]))
    return nn.Parameter(drawn.reshape(shape))
