"""No encoder computes a strided 1 x 1 convolution with the kernels that corrupt the heap."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.support import smallest_configs
from spkmodel.nn import encoders
from spkmodel.nn.strided import StridedPointwiseConv2d, pointwise_conv2d

ENCODERS = smallest_configs.every(smallest_configs.ENCODERS)


def strided_pointwise_modules(network: nn.Module) -> list[str]:
    """Name the modules that are 1 x 1 convolutions (1-d or 2-d) with a stride."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d)
        and max(module.kernel_size) == 1
        and max(module.stride) > 1
    ]


class StridedPointwiseCalls(TorchDispatchMode):
    """Records the shape of every kernel of size 1 that is applied with a stride, by whoever."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution.default:
            weight, stride = args[1], args[3]
            if set(weight.shape[2:]) == {1} and max(stride) > 1:
                self.found.append(tuple(weight.shape))
        return func(*args, **(kwargs or {}))


def strided_pointwise_calls(network, *inputs) -> list[tuple[int, ...]]:
    with torch.no_grad(), StridedPointwiseCalls() as calls:
        network(*inputs)
    return calls.found


def test_the_search_finds_strided_pointwise_convolutions():
    class Functional(nn.Module):
        def forward(self, maps):
            return F.conv2d(maps, torch.ones(3, 2, 1, 1), stride=(2, 1))

    maps = torch.zeros(1, 2, 4, 4)
    layer, line = nn.Conv2d(2, 3, 1, stride=2), nn.Conv1d(2, 3, 1, stride=3)
    assert strided_pointwise_modules(nn.Sequential(layer, line)) == ["0", "1"]
    assert strided_pointwise_calls(layer, maps) == [(3, 2, 1, 1)]
    assert strided_pointwise_calls(line, maps[:, :, 0]) == [(3, 2, 1)]
    assert strided_pointwise_calls(Functional(), maps) == [(3, 2, 1, 1)]
    assert strided_pointwise_modules(nn.Conv2d(2, 3, 3, stride=2)) == []
    assert strided_pointwise_calls(nn.Conv2d(2, 3, 3, stride=2), maps) == []


@pytest.mark.parametrize("config", ENCODERS, ids=lambda encoder: encoder.kind)
def test_no_encoder_has_a_strided_pointwise_convolution(config):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = encoders.build(config).eval()
    assert strided_pointwise_modules(network) == []
    assert strided_pointwise_calls(network, torch.zeros(2, 8_000)) == []


@pytest.mark.parametrize(
    "kind", smallest_configs.variants(encoders.c.Encoder), ids=lambda kind: kind.__name__
)
def test_no_encoder_of_default_size_has_a_strided_pointwise_convolution(kind):
    with torch.device("meta"):
        network = encoders.build(kind())
    assert strided_pointwise_modules(network) == []


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("stride", [2, 3, (2, 1), (1, 2)])
@pytest.mark.parametrize(("rows", "columns"), [(6, 26), (7, 25), (1, 1)])
def test_it_equals_the_strided_convolution(rows, columns, stride, memory_format):
    chance = torch.Generator().manual_seed(4)
    plain = nn.Conv2d(8, 16, 1, stride=stride, bias=False)
    ours = StridedPointwiseConv2d(8, 16, stride)
    ours.load_state_dict(plain.state_dict())
    maps = torch.randn(3, 8, rows, columns, generator=chance).to(memory_format=memory_format)
    results = []
    for layer in (plain, ours):
        inputs = maps.clone(memory_format=memory_format).requires_grad_()
        outputs = layer(inputs)
        (outputs * torch.linspace(-1, 1, outputs.numel()).reshape(outputs.shape)).sum().backward()
        results.append((outputs.detach(), inputs.grad, layer.weight.grad))
    for expected, found in zip(*results, strict=True):
        largest = expected.abs().max().item()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * largest)


def test_gradients_keep_the_memory_format_of_their_maps():
    maps = torch.randn(2, 4, 6, 8).to(memory_format=torch.channels_last).requires_grad_()
    StridedPointwiseConv2d(4, 8, 2)(maps).sum().backward()
    assert maps.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [1, (1, 1), 2, (2, 1)])
def test_equal_seeds_draw_the_weights_of_the_strided_convolution(stride):
    weights = []
    for build in (
        lambda: nn.Conv2d(4, 8, 1, stride=stride, bias=False),
        lambda: pointwise_conv2d(4, 8, stride),
    ):
        with torch.random.fork_rng():
            torch.manual_seed(9)
            weights.append(build().state_dict())
    assert list(weights[0]) == list(weights[1]) == ["weight"]
    assert torch.equal(weights[0]["weight"], weights[1]["weight"])
