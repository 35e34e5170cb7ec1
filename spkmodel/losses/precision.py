"""Compute losses in float32, whatever the precision of the encoder."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor


@contextmanager
def full_precision(
    embeddings: Float[Tensor, "batch dim"],
) -> Iterator[Float[Tensor, "batch dim"]]:
    """Yield the embeddings in float32 (float64 stays), with autocast off.

    Between 0.5 and 1, bfloat16 has steps of 1/256. Times a scale of 30 that is 0.12 of a logit; any
    angle below 0.06 rad has a cosine that rounds to 1; and distances and centroids are differences
    of almost equal numbers. Products of a batch with the classes are cheap beside the encoder.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        yield embeddings if embeddings.dtype == torch.float64 else embeddings.float()
