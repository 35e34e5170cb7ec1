"""Choose the triplets of a batch, as a pure function of distances and speakers.

The choice has two forms. `mine` lists the triplets. `choose` gives each anchor as many places as a
speaker can have positives, and a mask: its shapes do not depend on values, so that in training the
host never waits for a GPU to count triplets.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spkmodel.core.device_copy import copy_to_device
from spkmodel.losses.speaker_groups import SpeakerGroups, group_by_speaker

ChoosingStrategy: TypeAlias = Literal["batch_hard", "batch_semi_hard", "random_semi_hard"]
Strategy: TypeAlias = Literal["batch_all"] | ChoosingStrategy


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


@dataclass(frozen=True, slots=True)
class Choice:
    """One row an anchor, one place a positive; places without a triplet hold any row."""

    positive: Int[Tensor, "batch places"]
    negative: Int[Tensor, "batch places"]
    is_triplet: Bool[Tensor, "batch places"]


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
    groups = group_by_speaker(speakers)
    if strategy == "batch_all":
        return _list_all(groups)
    choice = choose(distances, groups, strategy, margin, generator=generator)
    anchor, place = torch.nonzero(choice.is_triplet, as_tuple=True)
    return Triplets(anchor, choice.positive[anchor, place], choice.negative[anchor, place])


@torch.no_grad()
def choose(
    distances: Float[Tensor, "batch batch"],
    groups: SpeakerGroups,
    strategy: ChoosingStrategy | Rank,
    margin: float | int,
    most_utterances: int | None = None,
    generator: torch.Generator | None = None,
) -> Choice:
    """Choose triplets as `mine` does, in shapes that do not depend on values.

    Args:
        distances: as for `mine`.
        groups: the rows by speaker.
        strategy: any but batch_all, which chooses nothing.
        margin: as for `mine`.
        most_utterances: the most that a speaker may have in the batch; None: counted, for which a
            GPU is waited for.
        generator: as for `mine`.
    """
    match strategy:
        case "batch_hard":
            return _hard(distances, groups)
        case "batch_semi_hard":
            return _semi_hard(distances, groups, margin, most_utterances)
        case "random_semi_hard" | Rank():
            return _by_chance(distances, groups, strategy, margin, most_utterances, generator)
        case other:
            raise ValueError(
                "mining must be batch_all, batch_hard, batch_semi_hard, random_semi_hard or a "
                f"Rank, got {other!r}"
            )


def find_positives(
    groups: SpeakerGroups, most_utterances: int | None
) -> tuple[Int[Tensor, "batch places"], Bool[Tensor, "batch places"]]:
    """Return each row's positives in the order of rows, and which of the places have one."""
    if most_utterances is None:
        most_utterances = int(groups.counts.max())
    elif groups.counts.device.type == "cpu" and bool((groups.counts > most_utterances).any()):
        # Its further positives would be ignored. A GPU is not waited for to find that out.
        raise ValueError(
            f"a batch may have at most {most_utterances} utterances of a speaker, got "
            f"{int(groups.counts.max())}"
        )
    # A stable sort puts the positives first and keeps their order.
    by_positive = _positives(groups).to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(most_utterances - 1, device=by_positive.device)
    return by_positive[:, : most_utterances - 1], places < (groups.counts - 1)[:, None]


def _positives(groups: SpeakerGroups) -> Bool[Tensor, "batch batch"]:
    return groups.same.clone().fill_diagonal_(False)


def _list_all(groups: SpeakerGroups) -> Triplets:
    # Two steps, so that no (batch, batch, batch) mask is built: a few GB at a thousand utterances.
    anchor, positive = torch.nonzero(_positives(groups), as_tuple=True)
    pair, negative = torch.nonzero(~groups.same[anchor], as_tuple=True)
    return Triplets(anchor[pair], positive[pair], negative)


def _hard(distances: Float[Tensor, "batch batch"], groups: SpeakerGroups) -> Choice:
    is_positive, is_negative = _positives(groups), ~groups.same
    # Infinity takes the others out; rows without a candidate are masked.
    farthest = distances.masked_fill(~is_positive, -torch.inf).argmax(dim=1)
    nearest = distances.masked_fill(~is_negative, torch.inf).argmin(dim=1)
    is_anchor = is_positive.any(dim=1) & is_negative.any(dim=1)
    return Choice(farthest[:, None], nearest[:, None], is_anchor[:, None])


def _semi_hard(
    distances: Float[Tensor, "batch batch"],
    groups: SpeakerGroups,
    margin: float | int,
    most_utterances: int | None,
) -> Choice:
    positive, is_triplet = find_positives(groups, most_utterances)
    negatives = _SortedNegatives.of_rows(distances, ~groups.same)
    begin, end = negatives.find_semi_hard(distances.gather(1, positive), margin)
    # With no negative inside the margin, the farthest one is the easiest: the hardest ones make
    # training collapse early on (Schroff et al., section 3.2).
    farthest = distances.masked_fill(groups.same, -torch.inf).argmax(dim=1)
    negative = torch.where(begin < end, negatives.at(begin), farthest[:, None])
    return Choice(positive, negative, is_triplet & (negatives.counts > 0)[:, None])


def _by_chance(
    distances: Float[Tensor, "batch batch"],
    groups: SpeakerGroups,
    strategy: Literal["random_semi_hard"] | Rank,
    margin: float | int,
    most_utterances: int | None,
    generator: torch.Generator | None,
) -> Choice:
    positive, is_triplet = find_positives(groups, most_utterances)
    negatives = _SortedNegatives.of_rows(distances, ~groups.same & ~groups.is_first)
    every = negatives.counts[:, None].expand(positive.shape)
    if isinstance(strategy, Rank):
        # On the CPU whatever the device, so that a CPU and a GPU training draw the same.
        chance = copy_to_device(torch.rand(positive.shape, generator=generator), distances.device)
        hardest = every.clamp(max=strategy.hard_rank + 1)
        end = torch.where(chance < strategy.hard_probability, hardest, every)
        begin = torch.zeros_like(end)
    else:
        nearest, beyond = negatives.find_semi_hard(distances.gather(1, positive), margin)
        begin = torch.where(nearest < beyond, nearest, 0)
        end = torch.where(nearest < beyond, beyond, every)
    negative = negatives.at(begin + _draw_below(end - begin, generator))
    is_triplet = is_triplet & groups.is_first[:, None] & (every > 0)
    return Choice(positive, negative, is_triplet)


@dataclass(frozen=True, slots=True)
class _SortedNegatives:
    """Each row's negatives by rising distance; behind them, rows that are none at infinity."""

    rows: Int[Tensor, "batch batch"]
    distances: Float[Tensor, "batch batch"]
    counts: Int[Tensor, " batch"]

    @classmethod
    def of_rows(
        cls, distances: Float[Tensor, "batch batch"], is_negative: Bool[Tensor, "batch batch"]
    ) -> "_SortedNegatives":
        # Stable: of equally distant negatives the first row counts as the nearer one.
        nearest = distances.masked_fill(~is_negative, torch.inf).sort(dim=1, stable=True)
        return cls(nearest.indices, nearest.values, is_negative.sum(dim=1))

    def find_semi_hard(
        self, to_positive: Float[Tensor, "batch places"], margin: float | int
    ) -> tuple[Int[Tensor, "batch places"], Int[Tensor, "batch places"]]:
        """Return the places of the negatives strictly between a positive and margin beyond it."""
        begin = torch.searchsorted(self.distances, to_positive.contiguous(), right=True)
        end = torch.searchsorted(self.distances, (to_positive + margin).contiguous())
        return begin, torch.minimum(end, self.counts[:, None])

    def at(self, places: Int[Tensor, "batch places"]) -> Int[Tensor, "batch places"]:
        """Return the rows at some places; a place beyond the last gives the last."""
        return self.rows.gather(1, places.clamp(max=self.rows.shape[1] - 1))


def _draw_below(
    counts: Int[Tensor, "batch places"], generator: torch.Generator | None
) -> Int[Tensor, "batch places"]:
    """Draw for each count an index below it, all equally likely."""
    # In float64, so that every index is equally likely up to rounding, however many there are.
    chance = torch.rand(counts.shape, dtype=torch.float64, generator=generator)
    return (copy_to_device(chance, counts.device) * counts).long()
