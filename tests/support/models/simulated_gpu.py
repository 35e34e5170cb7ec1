"""Find out on any machine where code for a GPU would make the host wait.

Tensors on `cuda` are simulated (`FakeTensorMode`): shapes and devices are computed, values are not.
An operation whose result's shape, or whose Python value, depends on values cannot be simulated and
raises an error; on a GPU it is where the host waits. `NoHostWaits` names these operations, and adds
the copies between host and device that are not asynchronous.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

_WAITING = {
    torch.ops.aten._local_scalar_dense.default: "reads a value (.item(), float(), bool(), if)",
    torch.ops.aten.nonzero.default: "counts what is not zero (nonzero, boolean indexing)",
    torch.ops.aten.masked_select.default: "counts what a mask selects",
    torch.ops.aten._unique2.default: "counts distinct values (unique)",
    torch.ops.aten.unique_dim.default: "counts distinct values (unique)",
    torch.ops.aten.unique_consecutive.default: "counts distinct values (unique_consecutive)",
}

_ASSIGNING = (torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default)


class HostWaits(AssertionError):
    """The host would wait for the device."""


class NoHostWaits(TorchDispatchMode):
    """Raises `HostWaits` at an operation on the device for whose result the host would wait."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [each for each in args if isinstance(each, torch.Tensor)]
        if func in _WAITING and any(each.device.type == "cuda" for each in tensors):
            raise HostWaits(f"{func} {_WAITING[func]}")
        if func is torch.ops.aten.index.Tensor and _has_mask(args[1]):
            raise HostWaits(f"{func} indexes by a mask on the device")
        # A single number is filled in by the mask itself; of several, the places are counted.
        if func in _ASSIGNING and _has_mask(args[1]) and args[2].numel() > 1:
            raise HostWaits(f"{func} assigns by a mask on the device")
        result = func(*args, **kwargs)
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[0] if func is torch.ops.aten._to_copy.default else args[1]
            is_crossing = source.device.type != result.device.type
            # A number as a tensor without dimensions travels inside the launch of a kernel.
            if is_crossing and source.dim() and not kwargs.get("non_blocking", False):
                raise HostWaits(
                    f"{func} copies {tuple(source.shape)} from {source.device} to {result.device} "
                    "and waits"
                )
        return result


def _has_mask(indices: Any) -> bool:
    masks = (torch.bool, torch.uint8)
    return any(
        each is not None and each.dtype in masks and each.device.type == "cuda" for each in indices
    )


@contextmanager
def simulated_gpu() -> Iterator[FakeTensorMode]:
    """Simulate all tensors while the context lasts, so that `cuda` works on any machine."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode


def moved_to_simulated_gpu(module: torch.nn.Module) -> torch.nn.Module:
    """Replace all weights and buffers by simulated ones on `cuda`; call it in `simulated_gpu`.

    `Module.to` cannot do that; and to build a module there fails where its weights are computed.
    """
    for part in module.modules():
        for name, weights in part.named_parameters(recurse=False):
            empty = torch.empty(weights.shape, dtype=weights.dtype, device="cuda")
            part.register_parameter(name, torch.nn.Parameter(empty, weights.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            empty = torch.empty(buffer.shape, dtype=buffer.dtype, device="cuda")
            part.register_buffer(name, empty)
    return module
