"""What the log's network is built of."""

import math

import pytest
import torch

from bench.support.published_networks import MODEL1, altered
from spkmodel.config import LogNet
from spkmodel.nn import encoders
from spkmodel.nn.encoders import log_net_blocks
from tests.support.models import log_networks


def waveforms(batch: int = 4, samples: int = 8_000) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(3))


def seeded(config) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return encoders.build(config)


@pytest.mark.parametrize("kernel", [1, 3, 4, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("samples", [4, 5, 8, 9])
def test_same_convolution_divides_the_length_and_rounds_up(kernel, stride, samples):
    conv = log_net_blocks.SameConv(1, 1, kernel, stride=stride)
    assert conv(torch.zeros(1, 1, 1, samples)).shape[3] == math.ceil(samples / stride)


def test_same_convolution_puts_the_odd_zero_at_the_end():
    conv = log_net_blocks.SameConv(1, 1, 3, stride=2, bias=False)
    torch.nn.init.constant_(conv.weight, 1.0)
    even, odd = torch.arange(1.0, 5).reshape(1, 1, 1, 4), torch.arange(1.0, 6).reshape(1, 1, 1, 5)
    assert conv(even).tolist() == [[[[6.0, 7.0]]]]
    assert conv(odd).tolist() == [[[[3.0, 9.0, 9.0]]]]


def test_the_skip_averages_only_samples_that_are_there():
    shortcut = seeded(log_networks.SMALL).eblocks[0].shortcut
    assert shortcut(torch.tensor([[[[1.0, 3.0, 5.0]]]])).tolist() == [[[[2.0, 5.0]]]]


def test_ten_eblocks_take_two_seconds_to_32_frames():
    config = altered(
        LogNet(), in_channels=2, channels=(2,) * 10, resblocks=(0,) * 10, dense=(4, 22)
    )
    encoder = seeded(config)
    maps = encoder.eblocks(encoder.in_block(encoder.front_end(waveforms(1, 32_000)).unsqueeze(2)))
    assert maps.shape == (1, 22, 1, 32)


def test_an_added_skip_pads_the_new_channels_with_zeros():
    widened = log_net_blocks.WidenChannels(3)(torch.ones(1, 2, 1, 4))
    assert widened.sum(dim=(2, 3)).tolist() == [[4.0, 4.0, 0.0]]


@pytest.mark.parametrize("merge", ["add", "concatenate"])
def test_the_signal_neither_vanishes_nor_explodes_through_a_fresh_log_net(merge):
    encoder = seeded(altered(LogNet(), merge=merge, dense=(64, 64), resblock_norm="none"))
    with torch.no_grad():
        assert 1e-2 < encoder(waveforms(4, 3_200)).std().item() < 1e2


def test_what_vanished_in_entry_01_1_is_kept_by_weights_of_twice_the_variance():
    plain = {"skip": False, "dense_skip": False, "resblock_norm": "none"}
    spreads = {}
    for init in ("he", "lecun"):
        encoder = seeded(altered(MODEL1, **plain, init=init))
        with torch.no_grad():
            spreads[init] = encoder(waveforms(4, 3_200)).std(dim=0).mean().item()
    assert spreads["lecun"] < spreads["he"] / 100
