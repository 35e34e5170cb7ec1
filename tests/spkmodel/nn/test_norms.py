"""Norms: Batch Renormalisation against the paper's algorithm, and what each takes out."""

import pytest
import torch

from spkmodel.config import BatchRenorm, LogNet
from spkmodel.nn.encoders import norms

FIXED = {"hold_batches": 0, "r_batches": 0, "d_batches": 0}
EPSILON = 1e-5


def maps(batch: int = 6, channels: int = 4, scale: float = 1.0) -> torch.Tensor:
    drawn = torch.randn(batch, channels, 1, 9, generator=torch.Generator().manual_seed(5))
    levels = torch.arange(1.0, channels + 1).reshape(1, channels, 1, 1)
    return scale * levels * (drawn + levels)


def renorm(channels: int = 4, **fields) -> norms.OffsetBatchRenorm:
    return norms.OffsetBatchRenorm(channels, **BatchRenorm(**fields).model_dump())


def test_limits_of_1_and_0_give_batch_norm_and_its_gradients():
    outputs, gradients = [], []
    for norm in (renorm(r_max=1, d_max=0, **FIXED), norms.OffsetBatchNorm(4)):
        torch.nn.init.constant_(norm.bias, 0.3)
        inputs = maps().requires_grad_()
        outputs.append(norm(inputs))
        (outputs[-1] * maps().sin()).sum().backward()
        gradients.append((inputs.grad, norm.bias.grad))
    torch.testing.assert_close(*outputs)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_batch_follows_the_algorithm_of_the_paper_and_so_do_its_gradients():
    norm = renorm(r_max=1.5, d_max=0.4, **FIXED)
    mean, deviation = torch.zeros(4), torch.ones(4)
    for batch in (maps(), maps(scale=0.5) + 1, maps(scale=0.6)):
        ours, theirs = batch.clone().requires_grad_(), batch.clone().requires_grad_()
        of_batch = theirs.mean(dim=(0, 2, 3))
        spread = (EPSILON + (theirs - of_batch[:, None, None]).square().mean(dim=(0, 2, 3))).sqrt()
        r = (spread / deviation).clamp(1 / 1.5, 1.5).detach()
        d = ((of_batch - mean) / deviation).clamp(-0.4, 0.4).detach()
        centred = (theirs - of_batch[:, None, None]) / spread[:, None, None]
        expected = centred * r[:, None, None] + d[:, None, None]
        torch.testing.assert_close(norm(ours), expected, rtol=1e-4, atol=1e-5)
        (norm_again := renorm(r_max=1.5, d_max=0.4, **FIXED)).running_mean.copy_(mean)
        norm_again.running_deviation.copy_(deviation)
        (norm_again(ours) * batch.cos()).sum().backward()
        (expected * batch.cos()).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
        mean = mean + 0.1 * (of_batch.detach() - mean)
        deviation = deviation + 0.1 * (spread.detach() - deviation)
    norm.eval()
    expected = (maps() - mean[:, None, None]) / deviation[:, None, None]
    torch.testing.assert_close(norm(maps()), expected, rtol=1e-4, atol=1e-5)


def test_without_limits_training_normalises_by_what_ran_before_as_evaluation_does():
    norm = renorm(r_max=1e6, d_max=1e6, **FIXED)
    for _ in range(3):
        norm(maps(scale=2.0))
    norm.eval()
    expected = norm(maps())
    norm.train()
    torch.testing.assert_close(norm(maps()), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("batch", "limits"),
    [(1, (1, 0)), (10, (1, 0)), (20, (1.5, 2.5)), (30, (2, 5)), (50, (3, 5)), (90, (3, 5))],
)
def test_limits_rise_in_a_line_after_the_hold(batch, limits):
    norm = renorm(hold_batches=10, r_batches=50, d_batches=30)
    norm.batches.fill_(batch)
    assert tuple(limit.item() for limit in norm.limits()) == pytest.approx(limits)


def test_the_schedule_goes_on_where_a_checkpoint_stopped():
    first, second = (
        renorm(hold_batches=2, r_batches=5, d_batches=5),
        renorm(hold_batches=2, r_batches=5, d_batches=5),
    )
    for _ in range(4):
        first(maps())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(maps()), second(maps()))
    assert torch.equal(first.running_deviation, second.running_deviation)


@pytest.mark.parametrize("kind", ["batch", "batch_renorm"])
def test_what_is_constant_is_taken_out_in_training(kind):
    (norm,) = norms.build(kind, 4, BatchRenorm())
    assert norms.takes_out_the_bias(kind)
    assert [name for name, _ in norm.named_parameters()] == ["bias"]
    torch.testing.assert_close(norm(maps() + 3), norm(maps()), rtol=1e-3, atol=1e-4)


def test_a_layer_norm_sees_one_utterance_all_channels_and_all_of_the_time():
    (norm,) = norms.build("layer", 4, BatchRenorm())
    normed = norm(maps())
    torch.testing.assert_close(normed.mean(dim=(1, 2, 3)), torch.zeros(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        normed.square().mean(dim=(1, 2, 3)), torch.ones(6), rtol=1e-3, atol=0
    )
    torch.testing.assert_close(norm(maps()[:1]), normed[:1])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"eblock_norm_place": "first"}, "needs a norm to place"),
        (
            {"eblock_norm": "batch", "eblock_norm_place": "between", "bottleneck": False},
            "behind the 1x1 convolution",
        ),
        (
            {"eblock_norm": "batch", "eblock_norm_place": "between", "merge": "add"},
            "behind the 1x1 convolution",
        ),
        ({"renorm": BatchRenorm(r_max=2)}, 'for norms that are "batch_renorm"'),
        (
            {"resblock_norm": "batch_renorm", "renorm": {"hold_batches": 5_000}},
            "must not come before renorm.hold_batches",
        ),
    ],
)
def test_a_norm_that_would_do_nothing_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        LogNet.model_validate(fields)
