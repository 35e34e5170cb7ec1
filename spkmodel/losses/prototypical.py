"""Compare the utterances of a batch with prototypes or centroids of its speakers."""

import math
from typing import Literal, TypeAlias, assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision
from spkmodel.losses.speaker_groups import SpeakerGroups, group_by_speaker

Form: TypeAlias = Literal["softmax", "contrast"]
_SMALLEST_SCALE = 1e-6
_COSINE_FLOOR = 1e-6


class LearnedLine(nn.Module):
    """scale x cosine + bias, both learned, the scale positive whatever an optimiser does."""

    def __init__(self, initial_scale: float, initial_bias: float) -> None:
        super().__init__()
        above = initial_scale - _SMALLEST_SCALE
        # The inverse of softplus, by expm1: exp(x) - 1 would lose a small scale to rounding.
        self.scale_before_softplus = nn.Parameter(
            torch.tensor(above + math.log(-math.expm1(-above)))
        )
        self.bias = nn.Parameter(torch.tensor(initial_bias))

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What the cosines are multiplied with; softplus alone would underflow to 0."""
        return F.softplus(self.scale_before_softplus) + _SMALLEST_SCALE

    def forward(self, cosines: Float[Tensor, "rows speakers"]) -> Float[Tensor, "rows speakers"]:
        return self.scale * cosines + self.bias


class AngularPrototypicalLoss(nn.Module):
    """Angular prototypical loss (Chung et al. 2020, arXiv:2003.11982, eq. 7).

    The first utterance of each speaker in the batch is the query; the mean of the speaker's other
    utterances is the prototype.
    """

    def __init__(self, initial_scale: float, initial_bias: float) -> None:
        super().__init__()
        self.line = LearnedLine(initial_scale, initial_bias)

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            groups = _groups(speakers)
            # Only the first row of each speaker is a query; the other rows are masked below.
            cosines = F.linear(F.normalize(exact), F.normalize(_prototypes(exact, groups)))
            loss = _cross_entropy(self.line(cosines), groups, groups.is_first)
            return LossOutput(loss, {"accuracy": _accuracy(cosines, groups, groups.is_first)})


class PrototypicalLoss(nn.Module):
    """Prototypical loss (Snell et al. 2017, arXiv:1703.05175, eq. 2), squared Euclidean.

    Query and prototype as in the angular one; neither is normalised. The logits of Q queries are
    a Q x Q matrix: voxceleb_trainer's, which took `pairwise_distance` for that, lost its shape
    when torch let the function reduce the last dimension.
    """

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            groups = _groups(speakers)
            # Not by way of products, which lose the small distances.
            logits = -torch.cdist(
                exact, _prototypes(exact, groups), compute_mode="donot_use_mm_for_euclid_dist"
            ).square()
            loss = _cross_entropy(logits, groups, groups.is_first)
            return LossOutput(loss, {"accuracy": _accuracy(logits, groups, groups.is_first)})


class GE2ELoss(nn.Module):
    """Generalised end-to-end loss (Wan et al. 2018, arXiv:1710.10467), averaged over utterances.

    Every utterance against every speaker's centroid (eq. 9: without the utterance itself, for its
    own speaker). The paper sums over utterances; averaged, the learning rate does not depend on
    the size of the batch.
    """

    def __init__(
        self, initial_scale: float, initial_bias: float, form: Form, floor_cosines: bool
    ) -> None:
        super().__init__()
        self.line = LearnedLine(initial_scale, initial_bias)
        self.form: Form = form
        self.floor_cosines = floor_cosines

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
    ) -> LossOutput:
        with full_precision(embeddings) as exact:
            groups = _groups(speakers)
            cosines = _to_centroids(exact, groups)
            # voxceleb_trainer floors them; a negative cosine then has no gradient.
            if self.floor_cosines:
                cosines = cosines.clamp(min=_COSINE_FLOOR)
            logits = self.line(cosines)
            every = torch.ones_like(groups.is_first)
            figures = {"accuracy": _accuracy(cosines, groups, every)}
            match self.form:
                case "softmax":
                    return LossOutput(_cross_entropy(logits, groups, every), figures)
                case "contrast":
                    return LossOutput(_contrast(logits, groups), figures)
                case _:
                    assert_never(self.form)


def _contrast(logits: Float[Tensor, "batch batch"], groups: SpeakerGroups) -> Float[Tensor, ""]:
    """Return the contrast loss of eq. 7: own centroid against the nearest other one."""
    to_own = logits.gather(1, groups.first[:, None])[:, 0]
    # The own speaker is taken out, or it would nearly always be the nearest.
    is_other = groups.is_first & ~groups.same
    nearest_other = logits.masked_fill(~is_other, -torch.inf).amax(dim=1)
    return (1 - to_own.sigmoid() + nearest_other.sigmoid()).mean()


def _to_centroids(
    embeddings: Float[Tensor, "batch dim"], groups: SpeakerGroups
) -> Float[Tensor, "batch batch"]:
    """Return each row's cosines with the centroids of all speakers, one in each row's column.

    Only the columns of first rows count: a speaker's other columns repeat its centroid.
    """
    sums = groups.same.to(embeddings.dtype) @ embeddings
    units = F.normalize(embeddings)
    # A cosine does not depend on the length of a centroid, so sums take the place of means.
    cosines = F.linear(units, F.normalize(sums))
    # An utterance that is part of its own centroid would be near it for no merit (eq. 9).
    without_itself = F.normalize(sums - embeddings)
    to_own = (units * without_itself).sum(dim=1, keepdim=True)
    return cosines.scatter(1, groups.first[:, None], to_own)


def _prototypes(
    embeddings: Float[Tensor, "batch dim"], groups: SpeakerGroups
) -> Float[Tensor, "batch dim"]:
    """Return, in the row of each speaker's first utterance, the mean of its other utterances."""
    others = groups.same.clone().fill_diagonal_(False).to(embeddings.dtype) @ embeddings
    return others / (groups.counts - 1)[:, None]


def _groups(speakers: Int[Tensor, " batch"]) -> SpeakerGroups:
    groups = group_by_speaker(speakers)
    # The config's batches guarantee this (`Batches.utterances`). On a GPU the check would make the
    # host wait at every step; there a speaker alone gives a loss that is not finite.
    if speakers.device.type == "cpu" and bool((groups.counts < 2).any()):
        alone = int(speakers[groups.counts < 2][0])
        raise ValueError(
            "a prototypical loss needs at least 2 utterances of each speaker in a batch, got 1 of "
            f"speaker {alone}"
        )
    return groups


def _cross_entropy(
    logits: Float[Tensor, "batch batch"], groups: SpeakerGroups, rows: Bool[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of some rows; the classes are the columns of first rows."""
    masked = logits.masked_fill(~groups.is_first, -torch.inf)
    of_row = F.cross_entropy(masked, groups.first, reduction="none")
    # where, not a product: a row that does not count may be infinite, and 0 x inf is nan.
    return torch.where(rows, of_row, 0.0).sum() / rows.sum()


def _accuracy(
    likeness: Float[Tensor, "batch batch"], groups: SpeakerGroups, rows: Bool[Tensor, " batch"]
) -> Float[Tensor, ""]:
    masked = likeness.detach().masked_fill(~groups.is_first, -torch.inf)
    return ((masked.argmax(dim=1) == groups.first) & rows).sum() / rows.sum()
