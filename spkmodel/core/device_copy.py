"""Copy tensors from the host to a device without waiting for the device."""

import torch
from torch import Tensor


def copy_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device; to a GPU from pinned memory, asynchronously.

    The host must not write to `tensor` afterwards.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        # Without a GPU, where a test only simulates one, nothing can be pinned.
        source = tensor.pin_memory() if torch.cuda.is_available() else tensor
        return source.to(device, non_blocking=True)
    return tensor.to(device)
