"""Poolings against hand cases and the formula of the attention."""

import pytest
import torch

from spkmodel import pooling

POOLINGS = ("statistics", "sap", "asp")


def frames(batch: int = 3, dim: int = 6, time: int = 9) -> torch.Tensor:
    return torch.randn(batch, dim, time, generator=torch.Generator().manual_seed(2))


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


def test_attention_follows_its_formula():
    attention = pooling.Attention(6)
    hidden = torch.einsum("ij,bjt->bit", attention.hidden.weight[:, :, 0], frames())
    hidden = torch.tanh(hidden + attention.hidden.bias[:, None])
    scores = torch.einsum("i,bit->bt", attention.direction[:, 0], hidden)
    weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(attention(frames()).squeeze(1), weights)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_has_the_width_it_tells(kind):
    pool = pooling.build(kind, 6)
    assert pool(frames()).shape == (3, pool.out_dim)


@pytest.mark.parametrize("kind", POOLINGS)
def test_the_order_of_frames_does_not_matter(kind):
    pool = pooling.build(kind, 6)
    torch.testing.assert_close(pool(frames()), pool(frames().flip(2)))


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("time", [1, 5])
def test_gradients_are_finite_where_nothing_varies(kind, time):
    constant = torch.ones(2, 6, time, requires_grad=True)
    pooling.build(kind, 6)(constant).sum().backward()
    assert torch.isfinite(constant.grad).all()
