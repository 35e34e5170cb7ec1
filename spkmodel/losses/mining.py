"""Choose the triplets of a batch, as a pure function of distances and speakers."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Strategy: TypeAlias = Literal["batch_all", "batch_hard", "batch_semi_hard", "random_semi_hard"]


@dataclass(frozen=True, slots=True)
class Rank:
    """voxceleb_trainer's mining by rank, as a strategy.

    With `hard_probability` the negative is one of the nearest `hard_rank` + 1, each as likely as
    the others; else any.
    """

    hard_rank: int
    hard_probability: float


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
    strategy: Strategy | Rank,
    margin: float | int,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Choose triplets by the distances between all rows of a batch.

    Utterances whose speaker is alone in the batch anchor no triplet.

    The two strategies with chance in them have voxceleb_trainer's roles: the first utterance of
    each speaker is an anchor, each of the speaker's others a positive, and what is the first
    utterance of nobody can be a negative. With two utterances a speaker they are that trainer's
    own, except that a negative is never of the anchor's speaker.

    Args:
        distances: any kind, smaller is more alike; the diagonal is not looked at.
        speakers: the speaker of each row.
        strategy:
            batch_all: every valid triplet, active or not (Hermans et al. 2017, arXiv:1703.07737).
            batch_hard: for each anchor its farthest positive and its nearest negative (the same).
            batch_semi_hard: for each anchor and positive the nearest negative beyond the positive
            and within the margin; if there is none, the farthest negative (after Schroff et al.
            2015, arXiv:1503.03832).
            random_semi_hard: for each anchor and positive, any negative beyond the positive and
            within the margin; if there is none, any negative.
            Rank: for each anchor and positive, a negative by its rank in distance.
        margin: in the units of `distances`; only the semi-hard strategies look at it.
        generator: what chance is drawn from, on the CPU whatever the device of `distances`;
            torch's own if None.
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
        case "random_semi_hard":
            return _random_semi_hard(distances, is_positive, is_negative, margin, generator)
        case Rank():
            return _ranked(distances, is_positive, is_negative, strategy, generator)
        case other:
            raise ValueError(
                "mining must be batch_all, batch_hard, batch_semi_hard, random_semi_hard or a "
                f"Rank, got {other!r}"
            )


def _all(
    is_positive: Bool[Tensor, "batch batch"], is_negative: Bool[Tensor, "batch batch"]
) -> Triplets:
    # Two steps, so that no (batch, batch, batch) mask is built: a few GB at a thousand utterances.
    anchor, positive = torch.nonzero(is_positive, as_tuple=True)
    pair, negative = torch.nonzero(is_negative[anchor], as_tuple=True)
    return Triplets(anchor[pair], positive[pair], negative)


def _hard(
    distances: Float[Tensor, "batch batch"],
    is_positive: Bool[Tensor, "batch batch"],
    is_negative: Bool[Tensor, "batch batch"],
) -> Triplets:
    anchor = torch.nonzero(is_positive.any(dim=1) & is_negative.any(dim=1))[:, 0]
    # Infinity takes the others out; rows without a candidate are not among the anchors.
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
    # With no negative inside the margin, the farthest one is the easiest: the hardest ones make
    # training collapse early on (Schroff et al., section 3.2).
    farthest = distances.masked_fill(~is_negative, -torch.inf).argmax(dim=1)[anchor]
    return Triplets(anchor, positive, torch.where(fits.any(dim=1), nearest, farthest))


def _random_semi_hard(
    distances: Float[Tensor, "batch batch"],
    is_positive: Bool[Tensor, "batch batch"],
    is_negative: Bool[Tensor, "batch batch"],
    margin: float | int,
    generator: torch.Generator | None,
) -> Triplets:
    anchor, positive, eligible = _pairs_of_first_utterances(is_positive, is_negative)
    to_positive = distances[anchor, positive][:, None]  # (pairs, 1)
    to_others = distances[anchor]  # (pairs, batch)
    fits = eligible & (to_others > to_positive) & (to_others < to_positive + margin)
    chosen_from = torch.where(fits.any(dim=1, keepdim=True), fits, eligible)
    # A stable sort puts the candidates first, in the order of rows: one draw of an index below
    # their number then serves all pairs at once, the same on every device.
    first_come = chosen_from.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    place = _any_of(chosen_from.sum(dim=1), generator)
    return Triplets(anchor, positive, first_come.gather(1, place[:, None])[:, 0])


def _ranked(
    distances: Float[Tensor, "batch batch"],
    is_positive: Bool[Tensor, "batch batch"],
    is_negative: Bool[Tensor, "batch batch"],
    rank: Rank,
    generator: torch.Generator | None,
) -> Triplets:
    anchor, positive, eligible = _pairs_of_first_utterances(is_positive, is_negative)
    by_distance = distances[anchor].masked_fill(~eligible, torch.inf).argsort(dim=1, stable=True)
    every = eligible.sum(dim=1)
    # On the CPU whatever the device, so that a CPU and a GPU training draw the same.
    chance = torch.rand(len(anchor), generator=generator).to(distances.device)
    hardest = every.clamp(max=rank.hard_rank + 1)
    place = _any_of(torch.where(chance < rank.hard_probability, hardest, every), generator)
    return Triplets(anchor, positive, by_distance.gather(1, place[:, None])[:, 0])


def _pairs_of_first_utterances(
    is_positive: Bool[Tensor, "batch batch"], is_negative: Bool[Tensor, "batch batch"]
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"], Bool[Tensor, "pairs batch"]]:
    """Return anchors, positives, and which rows can be the negative of each."""
    # A row is its speaker's first if no row above it is a positive of it.
    is_first = ~is_positive.tril(-1).any(dim=1)
    eligible = is_negative & ~is_first[None, :]
    pairs = is_positive & (is_first & eligible.any(dim=1))[:, None]
    anchor, positive = torch.nonzero(pairs, as_tuple=True)
    return anchor, positive, eligible[anchor]


def _any_of(
    counts: Int[Tensor, " pairs"], generator: torch.Generator | None
) -> Int[Tensor, " pairs"]:
    """Draw for each count an index below it, all equally likely."""
    # In float64, so that every index is equally likely up to rounding, however many there are.
    chance = torch.rand(len(counts), dtype=torch.float64, generator=generator)
    return (chance.to(counts.device) * counts).long()
