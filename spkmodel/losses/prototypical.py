"""Compare the utterances of a batch with prototypes or centroids of its speakers."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from spkmodel.losses.output import LossOutput
from spkmodel.losses.precision import full_precision

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
            queries, prototypes = _queries_and_prototypes(exact, speakers)
            cosines = F.linear(F.normalize(queries), F.normalize(prototypes))
            own = torch.arange(len(queries), device=exact.device)
            loss = F.cross_entropy(self.line(cosines), own)
            return LossOutput(loss, {"accuracy": _accuracy(cosines, own)})


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
            queries, prototypes = _queries_and_prototypes(exact, speakers)
            # Not by way of products, which lose the small distances.
            logits = -torch.cdist(
                queries, prototypes, compute_mode="donot_use_mm_for_euclid_dist"
            ).square()
            own = torch.arange(len(queries), device=exact.device)
            return LossOutput(F.cross_entropy(logits, own), {"accuracy": _accuracy(logits, own)})


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
            cosines, own = _to_centroids(exact, speakers)
            # voxceleb_trainer floors them; a negative cosine then has no gradient.
            if self.floor_cosines:
                cosines = cosines.clamp(min=_COSINE_FLOOR)
            logits = self.line(cosines)
            accuracy = _accuracy(cosines, own)
            match self.form:
                case "softmax":
                    return LossOutput(F.cross_entropy(logits, own), {"accuracy": accuracy})
                case "contrast":
                    return LossOutput(_contrast(logits, own), {"accuracy": accuracy})
                case _:
                    assert_never(self.form)


def _contrast(
    logits: Float[Tensor, "batch speakers"], own: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Return the contrast loss of eq. 7: own centroid against the nearest other one."""
    to_own = logits.gather(1, own[:, None])[:, 0]
    # The own speaker is taken out, or it would nearly always be the nearest.
    nearest_other = logits.scatter(1, own[:, None], -torch.inf).amax(dim=1)
    return (1 - to_own.sigmoid() + nearest_other.sigmoid()).mean()


def _to_centroids(
    embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch speakers"], Int[Tensor, " batch"]]:
    """Return each row's cosines with all speakers' centroids, and the column of its own speaker."""
    groups = _groups(speakers)
    sums = embeddings.new_zeros(len(groups.counts), embeddings.shape[1]).index_add(
        0, groups.of_row, embeddings
    )
    units = F.normalize(embeddings)
    # The length of a centroid is nothing to its cosine, so the sums will do.
    cosines = F.linear(units, F.normalize(sums))
    # An utterance that is part of its own centroid would be near it for no merit (eq. 9).
    without_itself = F.normalize(sums[groups.of_row] - embeddings)
    to_own = (units * without_itself).sum(dim=1, keepdim=True)
    return cosines.scatter(1, groups.of_row[:, None], to_own), groups.of_row


def _queries_and_prototypes(
    embeddings: Float[Tensor, "batch dim"], speakers: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "speakers dim"], Float[Tensor, "speakers dim"]]:
    groups = _groups(speakers)
    # Stable, so that the query is a speaker's first utterance in the order of the batch.
    by_speaker = groups.of_row.argsort(stable=True)
    first = by_speaker[groups.counts.cumsum(0) - groups.counts]
    is_query = torch.zeros_like(speakers, dtype=torch.bool).index_fill(0, first, True)
    others = embeddings.new_zeros(len(first), embeddings.shape[1]).index_add(
        0, groups.of_row[~is_query], embeddings[~is_query]
    )
    return embeddings[first], others / (groups.counts - 1)[:, None]


@dataclass(frozen=True, slots=True)
class _Groups:
    """The rows of a batch by speaker: numbered in the order of their labels."""

    of_row: Int[Tensor, " batch"]
    counts: Int[Tensor, " speakers"]


def _groups(speakers: Int[Tensor, " batch"]) -> _Groups:
    present, of_row, counts = torch.unique(speakers, return_inverse=True, return_counts=True)
    if bool((counts < 2).any()):
        alone = present[counts < 2][0].item()
        raise ValueError(
            "a prototypical loss needs at least 2 utterances of each speaker in a batch, got 1 of "
            f"speaker {alone}"
        )
    return _Groups(of_row, counts)


def _accuracy(
    likeness: Float[Tensor, "rows speakers"], own: Int[Tensor, " rows"]
) -> Float[Tensor, ""]:
    return (likeness.detach().argmax(dim=1) == own).float().mean()
