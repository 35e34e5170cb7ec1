"""Poolings against hand cases and the formulas of their attentions."""

import math

import pytest
import torch

from spkmodel.config import TDNN, MultiHead
from spkmodel.nn import pooling

NAMES = ("mean", "max", "statistics", "sap", "asp", "channel_sap", "channel_asp", "context_asp")
POOLINGS = (*NAMES, MultiHead(heads=3), MultiHead(heads=2, deviation=True))
WIDTHS = {"statistics": 12, "asp": 12, "channel_asp": 12, "context_asp": 12, POOLINGS[-1]: 12}


def frames(batch: int = 3, dim: int = 6, time: int = 9) -> torch.Tensor:
    return torch.randn(batch, dim, time, generator=torch.Generator().manual_seed(2))


def seeded(kind, dim: int = 6) -> pooling.Pooling:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return pooling.build(kind, dim)


def weighted_statistics(weights: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """By definition, from centred frames, where the module takes a difference of squares."""
    mean = (weights * inputs).sum(dim=2, keepdim=True)
    variance = (weights * (inputs - mean).square()).sum(dim=2)
    return torch.cat([mean.squeeze(2), variance.sqrt()], dim=1)


def test_mean_and_max_are_over_time():
    inputs = torch.tensor([[[1.0, 3.0, -7.0], [0.0, 8.0, 1.0]]])
    assert pooling.build("mean", 2)(inputs).tolist() == [[-1.0, 3.0]]
    assert pooling.build("max", 2)(inputs).tolist() == [[3.0, 8.0]]


def test_statistics_are_mean_and_biased_deviation():
    pooled = pooling.build("statistics", 2)(torch.tensor([[[1.0, 3.0], [0.0, 8.0]]]))
    torch.testing.assert_close(pooled, torch.tensor([[2.0, 4.0, 1.0, 4.0]]))


def test_attention_without_a_direction_is_plain_statistics():
    asp, sap = pooling.build("asp", 6), pooling.build("sap", 6)
    for pool in (asp, sap):
        torch.nn.init.zeros_(pool.attention.direction)
    expected = pooling.build("statistics", 6)(frames())
    torch.testing.assert_close(asp(frames()), expected)
    torch.testing.assert_close(sap(frames()), expected[:, :6])


@pytest.mark.parametrize("kind", ["channel_asp", "context_asp"])
def test_attention_with_equal_scores_is_plain_statistics(kind):
    asp = pooling.build(kind, 6)
    torch.nn.init.zeros_(asp.attention.scores[-1].weight)
    torch.testing.assert_close(asp(frames()), pooling.build("statistics", 6)(frames()))


def test_attention_follows_its_formula():
    attention = pooling.Attention(6)
    hidden = torch.einsum("ij,bjt->bit", attention.hidden.weight[:, :, 0], frames())
    hidden = torch.tanh(hidden + attention.hidden.bias[:, None])
    scores = torch.einsum("i,bit->bt", attention.direction[:, 0], hidden)
    weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(attention(frames()).squeeze(1), weights)


@pytest.mark.parametrize("kind", ["sap", "channel_sap", "asp", "channel_asp", "context_asp"])
def test_what_is_pooled_is_weighed_by_the_attention(kind):
    pool = seeded(kind)
    expected = weighted_statistics(pool.attention(frames()), frames())
    torch.testing.assert_close(pool(frames()), expected[:, : pool.out_dim], atol=1e-5, rtol=1e-5)


def test_channel_attention_follows_its_formula():
    attention = seeded("channel_asp").attention.eval()
    first, _, norm, last = attention.scores
    torch.nn.init.uniform_(norm.running_mean, -1, 1)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    hidden = torch.einsum("ij,bjt->bit", first.weight[:, :, 0], frames()) + first.bias[:, None]
    hidden = hidden.clamp(min=0) - norm.running_mean[:, None]
    hidden = hidden / (norm.running_var[:, None] + 1e-5).sqrt()
    scores = torch.einsum("ij,bjt->bit", last.weight[:, :, 0], hidden) + last.bias[:, None]
    weights = scores.exp() / scores.exp().sum(dim=2, keepdim=True)
    assert first.out_channels == 128
    torch.testing.assert_close(attention(frames()), weights)


def test_context_attention_follows_its_formula():
    attention = seeded("context_asp").attention
    _, first, _, last = attention.scores
    mean, deviation = frames().mean(dim=2, keepdim=True), frames().std(dim=2, keepdim=True)
    seen = torch.cat([frames(), mean.expand(3, 6, 9), deviation.expand(3, 6, 9)], dim=1)
    hidden = torch.tanh(
        torch.einsum("ij,bjt->bit", first.weight[:, :, 0], seen) + first.bias[:, None]
    )
    scores = torch.einsum("ij,bjt->bit", last.weight[:, :, 0], hidden) + last.bias[:, None]
    torch.testing.assert_close(attention(frames()), scores.softmax(dim=2))


def test_every_head_weighs_its_own_channels():
    pool = seeded(MultiHead(heads=2, deviation=True))
    directions = pool.attention.directions
    parts = []
    for head in range(2):
        share = frames()[:, 3 * head : 3 * head + 3]
        scores = torch.einsum("d,bdt->bt", directions[head], share) / math.sqrt(3)
        weights = (scores.exp() / scores.exp().sum(dim=1, keepdim=True)).unsqueeze(1)
        parts.append(weighted_statistics(weights, share))
    expected = torch.cat([*(p[:, :3] for p in parts), *(p[:, 3:] for p in parts)], dim=1)
    torch.testing.assert_close(pool(frames()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", POOLINGS, ids=str)
def test_pooling_has_the_width_it_tells(kind):
    pool = pooling.build(kind, 6)
    assert pool.out_dim == WIDTHS.get(kind, 6)
    assert pool(frames()).shape == (3, pool.out_dim)


@pytest.mark.parametrize("kind", POOLINGS, ids=str)
def test_the_order_of_frames_does_not_matter(kind):
    pool = seeded(kind)
    torch.testing.assert_close(pool(frames()), pool(frames().flip(2)))


@pytest.mark.parametrize("kind", POOLINGS, ids=str)
@pytest.mark.parametrize("time", [1, 5])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outputs_and_gradients_are_finite_where_nothing_varies(kind, time, value):
    constant = torch.full((2, 6, time), value, requires_grad=True)
    pooled = pooling.build(kind, 6)(constant)
    pooled.sum().backward()
    assert torch.isfinite(pooled).all()
    assert torch.isfinite(constant.grad).all()


@pytest.mark.parametrize("kind", POOLINGS, ids=str)
def test_statistics_stay_in_float32_under_autocast(kind):
    pool = seeded(kind).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = pool(frames().bfloat16())
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, pool(frames()), atol=0.05, rtol=0.05)


def test_heads_that_cannot_share_the_channels_are_refused():
    with pytest.raises(ValueError, match=r"heads must divide the 48 channels .* got 5; 4 would"):
        TDNN(channels=16, pooling=MultiHead(heads=5))


def test_a_misspelt_pooling_is_one_problem():
    with pytest.raises(ValueError, match="1 validation error"):
        TDNN.model_validate({"pooling": "statistic"})
