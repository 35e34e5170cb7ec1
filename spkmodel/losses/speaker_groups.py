"""Find which rows of a batch share a speaker, in tensors whose shapes the batch size decides.

`torch.unique`, `nonzero` and boolean indexing return tensors whose sizes depend on values. On a GPU
the host has to wait for those values, and until then no further work is queued. All losses that
compare the utterances of a batch therefore keep a row for every utterance and mask what they do
not need.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SpeakerGroups:
    """The rows of a batch by speaker; each speaker is represented by its first row."""

    same: Bool[Tensor, "batch batch"]
    """Whether two rows share a speaker; True on the diagonal."""
    first: Int[Tensor, " batch"]
    """The first row of each row's speaker."""
    is_first: Bool[Tensor, " batch"]
    counts: Int[Tensor, " batch"]
    """Rows of each row's speaker, itself included."""


def group_by_speaker(speakers: Int[Tensor, " batch"]) -> SpeakerGroups:
    """Compare all labels of a batch with each other; nothing waits for the device."""
    same = speakers[:, None] == speakers[None, :]
    # Of several largest values, argmax returns the first.
    first = same.to(torch.uint8).argmax(dim=1)
    is_first = first == torch.arange(len(speakers), device=speakers.device)
    return SpeakerGroups(same, first, is_first, same.sum(dim=1))
