"""A strided 1 x 1 convolution that calls no strided kernel.

In torch 2.11, oneDNN writes outside its buffers in the backward pass of a 1 x 1 convolution with
stride 2 and fewer than 16 input channels, under bfloat16 autocast with channels-last input, on
processors with AVX-512 bf16. The heap is corrupted, so a training crashes or continues with wrong
weights. `spkmodel.nn.kernel_check` tells whether this processor is affected.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StridedPointwiseConv2d(nn.Conv2d):
    """Take every s-th row and t-th column, then apply a 1 x 1 convolution of stride 1.

    It equals `nn.Conv2d(channels_in, channels, 1, stride=step, bias=False)` to 1e-6 and has the
    same parameter names, shapes and initial weights, so checkpoints of one load into the other.
    """

    def __init__(self, channels_in: int, channels: int, step: int | tuple[int, int]) -> None:
        super().__init__(channels_in, channels, 1, bias=False)
        # Not called `stride`: the convolution reads that attribute, and must find 1 there.
        self.step = (step, step) if isinstance(step, int) else step

    def forward(
        self, maps: Float[Tensor, "batch channels_in rows_in columns_in"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        rows, columns = self.step
        if maps.is_contiguous(memory_format=torch.channels_last):
            # The gradient of a slice is laid out in the order of the dimensions that were sliced.
            # Sliced with the channels last, it needs no copy before it is added to the gradient
            # of the residual branch: a tenth of a stage's time under bfloat16.
            return super().forward(
                maps.permute(0, 2, 3, 1)[:, ::rows, ::columns].permute(0, 3, 1, 2)
            )
        return super().forward(maps[:, :, ::rows, ::columns])


def pointwise_conv2d(channels_in: int, channels: int, stride: int | tuple[int, int]) -> nn.Conv2d:
    """Build a 1 x 1 convolution without bias, for any stride, that no strided kernel computes."""
    if stride in (1, (1, 1)):
        return nn.Conv2d(channels_in, channels, 1, bias=False)
    return StridedPointwiseConv2d(channels_in, channels, stride)
