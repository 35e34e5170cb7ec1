"""Plan the batches of one epoch: which utterances of which speakers meet.

Everything is a function of (seed, epoch). All of it is arrays: VoxCeleb2 has a million utterances,
and a plan of Python objects would take seconds and hundreds of megabytes in every training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from spkmodel.config import Batches


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Utterances grouped by speaker: the first K are of one, the next K of another.

    Where speed makes new speakers, a speaker at another rate is another one.
    """

    rows: Int[np.ndarray, " batch"]
    """Which utterances, by their place among all."""
    labels: Int[np.ndarray, " batch"]
    """With `rates`, the rate's place among them times the speakers, plus the speaker."""
    rates: Float[np.ndarray, " batch"] | None = None
    """How much faster each is to be played; None: none of them."""


@dataclass(frozen=True, slots=True, eq=False)
class EpochPlan:
    """The batches of an epoch; all of them have the same size."""

    rows: Int[np.ndarray, "batches batch"]
    labels: Int[np.ndarray, "batches batch"]
    rates: Float[np.ndarray, "batches batch"] | None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Batch:
        rates = None if self.rates is None else self.rates[number]
        return Batch(self.rows[number], self.labels[number], rates)


def draw_epoch(
    speakers: Sequence[int] | Int[np.ndarray, " utterances"],
    speakers_per_batch: int,
    utterances: int,
    seed: int,
    epoch: int,
    most_of_a_speaker: int | None = None,
    rates: Sequence[float] = (),
) -> EpochPlan:
    """Draw the batches of one epoch: as many full ones, without a speaker twice, as there can be.

    Every utterance is used once, apart from two remainders: what a speaker has beyond a multiple
    of `utterances` (which ones rotates from epoch to epoch), and what would fill the last batch
    only in part. A group whose speaker is in a batch already waits for the next one; nothing is
    dropped for it. voxceleb_trainer drops it, and uses 24 to 97 % of an epoch's utterances.

    Args:
        speakers: of each utterance, its speaker's index.
        speakers_per_batch: P.
        utterances: K, of each speaker in a batch.
        seed: with `epoch`, decides everything.
        epoch: counted from 1.
        most_of_a_speaker: used of a speaker's utterances; the next ones are the next epoch's turn.
        rates: of speed as new speakers; every group of a speaker's utterances is played at one of
            them, and a speaker at two rates counts as two.
    """
    owners = np.asarray(speakers, dtype=np.int64)
    # A generator of this epoch alone: any epoch can be drawn again without those before it.
    rng = np.random.default_rng([seed, epoch])
    order = np.arange(len(owners))
    if most_of_a_speaker is not None:
        # In an order of the training's own: neighbours in a list are often of one session.
        order = np.random.default_rng([seed, 0]).permutation(len(owners))
    groups = _draw_groups(owners, order, utterances, epoch, rng, most_of_a_speaker)
    count = int(owners.max(initial=0)) + 1
    if rates:
        groups = _at_rates(groups, len(rates), count, rng)
    first, remaining = groups.first.copy(), groups.counts.copy()
    chosen_groups, chosen_labels = [], []
    for left in range(_most_batches(remaining, speakers_per_batch), 0, -1):
        chosen = _choose(remaining, speakers_per_batch, left, rng)
        remaining[chosen] -= 1
        chosen_groups.append(first[chosen] + remaining[chosen])
        chosen_labels.append(groups.labels[chosen])
    # Speakers with many groups are forced into the last batches; shuffled, no epoch ends on them.
    shuffled = rng.permutation(len(chosen_groups))
    batch = speakers_per_batch * utterances
    picked = np.array(chosen_groups, dtype=np.int64).reshape(-1, speakers_per_batch)[shuffled]
    labels = np.array(chosen_labels, dtype=np.int64).reshape(-1, speakers_per_batch)[shuffled]
    labels = np.repeat(labels, utterances, axis=1)
    return EpochPlan(
        groups.rows[picked].reshape(-1, batch),
        labels,
        np.asarray(rates, dtype=np.float64)[labels // count] if rates else None,
    )


def batches_in_epoch(utterances_of: Sequence[int], config: Batches) -> int:
    """Count the batches that speakers with so many utterances fill, all at one speed."""
    most = config.max_utterances_per_speaker
    groups = [
        (count if most is None else min(most, count)) // config.utterances
        for count in utterances_of
    ]
    return _most_batches(np.array(groups, dtype=np.int64), config.speakers)


# --- groups of K utterances of one speaker ----------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Groups of K rows; those of one label stand one after the other."""

    rows: Int[np.ndarray, "groups utterances"]
    labels: Int[np.ndarray, " labels"]
    first: Int[np.ndarray, " labels"]
    """Of each label, the first of its groups."""
    counts: Int[np.ndarray, " labels"]


def _draw_groups(
    owners: Int[np.ndarray, " utterances"],
    order: Int[np.ndarray, " utterances"],
    utterances: int,
    epoch: int,
    rng: np.random.Generator,
    most: int | None,
) -> _Groups:
    """Group each speaker's utterances, taken in `order`, into shuffled groups."""
    owners_in_order = owners[order]
    by_speaker, first, counts = _sort_by_first_appearance(owners_in_order)
    drawn, labels = [np.zeros((0, utterances), dtype=np.int64)], []
    for start, count in zip(first.tolist(), counts.tolist(), strict=True):
        rows = order[by_speaker[start : start + count]]
        taken = count if most is None else min(most, count)
        extra = count - taken // utterances * utterances
        # Rotated by the remainder, the end that is left out covers every utterance in turn.
        used = np.roll(rows, epoch * extra)[: count - extra]
        if len(used):
            drawn.append(rng.permutation(used).reshape(-1, utterances))
            labels.append(int(owners[rows[0]]))
    sizes = np.array([len(some) for some in drawn[1:]], dtype=np.int64)
    return _Groups(
        np.concatenate(drawn), np.array(labels, dtype=np.int64), np.cumsum(sizes) - sizes, sizes
    )


def _at_rates(groups: _Groups, rates: int, speakers: int, rng: np.random.Generator) -> _Groups:
    """Move each group to the label of its speaker at a rate that is drawn for it."""
    drawn = [rng.integers(rates, size=count) for count in groups.counts.tolist()]
    at_rate = np.concatenate([*drawn, np.zeros(0, dtype=np.int64)])
    labels = at_rate * speakers + np.repeat(groups.labels, groups.counts)
    by_label, first, counts = _sort_by_first_appearance(labels)
    return _Groups(groups.rows[by_label], labels[by_label[first]], first, counts)


def _sort_by_first_appearance(
    labels: Int[np.ndarray, " items"],
) -> tuple[Int[np.ndarray, " items"], Int[np.ndarray, " labels"], Int[np.ndarray, " labels"]]:
    """Bring equal labels together, in the order in which they first appear.

    Returns:
        The places in the new order; where each label begins there; how many items it has.
    """
    if not len(labels):
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty
    _, appears, label_of, counts = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    by_appearance = np.argsort(appears)
    rank = np.empty_like(by_appearance)
    rank[by_appearance] = np.arange(len(by_appearance))
    order = np.argsort(rank[label_of], kind="stable")
    counts = counts[by_appearance]
    return order, np.cumsum(counts) - counts, counts


# --- which groups meet ------------------------------------------------------------------------


def _most_batches(groups: np.ndarray, speakers: int) -> int:
    """Return the largest number b of batches that speakers can fill, each used at most b times."""
    # If b batches can be filled, so can fewer: a binary search finds the largest b.
    low, high = 0, int(groups.sum()) // speakers
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(groups, middle).sum() >= speakers * middle:
            low = middle
        else:
            high = middle - 1
    return low


def _choose(
    remaining: np.ndarray, speakers: int, batches_left: int, rng: np.random.Generator
) -> np.ndarray:
    """Choose the speakers of the next batch at random by groups remaining, required ones first.

    A speaker with a group for each batch left must be in this one, or fewer batches would be
    filled. The others are drawn in proportion to what remains of them (Efraimidis & Spirakis
    2006), so that speakers with many utterances do not only meet each other.
    """
    # Keys log(u) / w: their largest are a draw without replacement, by weight.
    with np.errstate(divide="ignore"):
        keys = np.log(rng.random(len(remaining))) / remaining
    due = remaining >= batches_left
    # Keys are negative; a positive one comes before all others.
    keys[due] = -keys[due]
    keys[remaining == 0] = -np.inf
    return np.argpartition(keys, -speakers)[-speakers:]
