"""Choose how the maps of two-dimensional convolutions lie in memory."""

import torch
from torch import Tensor


def arrange_maps(maps: Tensor) -> Tensor:
    """Return maps (batch, channels, mels, time) as convolutions on their device want them.

    On a GPU the channels lie innermost, which its matrix units work on. On a CPU that is faster by
    an eighth at most and less exact: in training mode embeddings of ResNetSE34V2 were 3.6e-4 away
    from a float64 run, 1.4e-5 with contiguous maps; and it is what corrupts the heap in oneDNN's
    bfloat16 kernels (`spkmodel.nn.strided`).
    """
    if maps.is_cuda:
        return maps.contiguous(memory_format=torch.channels_last)
    return maps.contiguous()
