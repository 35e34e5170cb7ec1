"""Which losses and batches the training utterances of a corpus allow."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from spkmodel.config.corpus_rules import FEWEST_SPEAKERS, BatchShape, count_with
from spkmodel.config.losses import Centre, SingleLoss
from spkmodel.data.lists import TrainEntry


@dataclass(frozen=True)
class Capacity:
    """The losses that a corpus can carry, and its largest batches."""

    losses: list[str]
    """By `loss.kind`; one that only draws embeddings together is none by itself."""
    other_losses: list[str]
    """Those that need more utterances of a speaker."""
    batches: list[BatchShape]
    """The most speakers for 1, 2, 4, 8 ... utterances of each."""


def measure_capacity(train: Sequence[TrainEntry]) -> Capacity:
    """Return what the training utterances allow."""
    utterances_of = list(Counter(entry.speaker for entry in train).values())
    needs = {
        each.model_fields["kind"].default: each.needs_utterances
        for each in get_args(get_args(SingleLoss)[0])
        if each is not Centre
    }
    able = [
        kind for kind, least in needs.items() if count_with(utterances_of, least) >= FEWEST_SPEAKERS
    ]
    shapes = [
        BatchShape(count_with(utterances_of, utterances), utterances)
        for utterances in (1, 2, 4, 8, 16, 32, 64)
    ]
    return Capacity(
        losses=able,
        other_losses=[kind for kind in needs if kind not in able],
        batches=[shape for shape in shapes if shape.speakers >= FEWEST_SPEAKERS],
    )
