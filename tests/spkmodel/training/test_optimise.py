import math

import pytest
import torch
from torch import nn

from spkmodel.config import SGD, Adam, AdamW, NAdam
from spkmodel.training.optimise import Stepper


def _stepper(config, clip=None):
    kernel = nn.Parameter(torch.full((2, 2), 2.0))
    bias = nn.Parameter(torch.full((2,), 2.0))
    return Stepper(config, {"kernel": kernel, "bias": bias}, clip), kernel, bias


def _step(stepper, rate, *gradients):
    for weight, gradient in gradients:
        weight.grad = torch.full_like(weight, gradient)
    stepper.step(rate)


def test_l2_is_a_gradient_of_its_own_on_kernels():
    stepper, kernel, bias = _stepper(SGD(momentum=0, l2=0.5))
    _step(stepper, 0.1, (kernel, 0.0), (bias, 0.0))
    assert torch.equal(kernel, torch.full((2, 2), 2 - 0.1 * 0.5 * 2))
    assert torch.equal(bias, torch.full((2,), 2.0))


@pytest.mark.parametrize("config", [Adam(l2=0.5), NAdam(l2=0.5)])
def test_l2_is_scaled_by_adams_second_moment_and_decoupled_decay_is_not(config):
    coupled, kernel, bias = _stepper(config)
    _step(coupled, 0.01, (kernel, 0.0), (bias, 0.0))
    # A first step of Adam is as long as the rate whatever the gradient's size; of NAdam, nearly.
    assert kernel.mean().item() == pytest.approx(2 - 0.01, abs=5e-3)
    decoupled, kernel, bias = _stepper(
        AdamW(weight_decay=0.5) if isinstance(config, Adam) else NAdam(weight_decay=0.5)
    )
    _step(decoupled, 0.01, (kernel, 0.0), (bias, 0.0))
    assert kernel.mean().item() == pytest.approx(2 * (1 - 0.01 * 0.5))
    assert bias.mean().item() == 2


@pytest.mark.parametrize(
    "config",
    [
        Adam(l2=0.5, decayed="all"),
        AdamW(weight_decay=0.5, decayed="all"),
        NAdam(weight_decay=0.5, decayed="all"),
        SGD(l2=0.5, decayed="all"),
    ],
    ids=lambda config: config.kind,
)
def test_biases_decay_where_all_do(config):
    stepper, kernel, bias = _stepper(config)
    _step(stepper, 0.01, (kernel, 0.0), (bias, 0.0))
    assert bias.max().item() < 2


def test_nesterovs_momentum_looks_one_step_ahead():
    for nesterov, second in ((False, 1.5), (True, 1.75)):
        stepper, kernel, bias = _stepper(SGD(momentum=0.5, nesterov=nesterov))
        _step(stepper, 0.1, (kernel, 1.0), (bias, 1.0))
        before = kernel.clone()
        _step(stepper, 0.1, (kernel, 1.0), (bias, 1.0))
        assert (before - kernel).mean().item() == pytest.approx(0.1 * second)


@pytest.mark.parametrize("clip", [None, 1.0, 100.0])
def test_the_gradient_is_cut_to_its_largest_norm_and_the_norm_told_as_it_was(clip):
    stepper, kernel, bias = _stepper(SGD(), clip)
    kernel.grad, bias.grad = torch.full((2, 2), 3.0), torch.full((2,), 4.0)
    norm = math.sqrt(4 * 9 + 2 * 16)
    assert stepper.gradient_norm().item() == pytest.approx(norm)
    left = math.hypot(kernel.grad.norm().item(), bias.grad.norm().item())
    assert left == pytest.approx(min(norm, clip or norm), rel=1e-5)


def test_two_ways_of_decay_at_once_and_nesterov_without_momentum_are_refused():
    with pytest.raises(ValueError, match="two ways of the same"):
        NAdam(l2=1e-6, weight_decay=1e-2)
    with pytest.raises(ValueError, match=r"needs optimiser\.momentum above 0"):
        SGD(momentum=0, nesterov=True)


def test_nadams_momentum_is_whole_from_the_first_step_where_it_decays_at_once():
    moved = []
    for momentum_decay in (1e4, 0.0):
        stepper, kernel, bias = _stepper(NAdam(momentum_decay=momentum_decay))
        _step(stepper, 0.01, (kernel, 1.0), (bias, 1.0))
        _step(stepper, 0.01, (kernel, 0.0), (bias, 0.0))
        moved.append(2 - kernel.mean().item())
    # Two steps, the second with momentum only: mu m / (1 - mu^3) with m = 0.1 * 0.9.
    second = 0.9 * 0.09 / (1 - 0.9**3) / math.sqrt(0.999e-3 / (1 - 0.999**2))
    first = 0.1 / (1 - 0.9) + 0.9 * 0.1 / (1 - 0.9**2)
    assert moved[0] == pytest.approx(0.01 * (first + second), rel=1e-4)
    assert moved[1] != pytest.approx(moved[0], rel=1e-2)


def test_nadams_first_step_is_torchs_and_not_that_of_tensorflow_1():
    weights = torch.nn.Parameter(torch.zeros(1, 1))
    config = NAdam(learning_rate=0.001, momentum_decay=1e4, epsilon=1e-12)
    stepper = Stepper(config, {"weights": weights}, clip=None)
    weights.grad = torch.ones(1, 1)
    stepper.step(0.001)
    # 1 + beta1 / (1 + beta1); TensorFlow 1's is 1 + beta1.
    assert float(-weights.detach()) / 0.001 == pytest.approx(1 + 0.9 / 1.9, rel=1e-5)
