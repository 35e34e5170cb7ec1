import pytest
import torch
from torch import nn

from spkmodel.config import EMA
from spkmodel.training.averaging import WeightAverage, decay_after


def _network():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    with torch.no_grad():
        network[0].weight.fill_(0.0)
    return network


def test_the_average_follows_the_weights_at_a_distance_and_leaves_them_alone():
    network, loss = _network(), nn.Linear(1, 2, bias=False)
    average = WeightAverage(EMA(decay=0.5, warm_up=False), network, loss)
    for expected in (0.5, 0.75):
        with torch.no_grad():
            network[0].weight.fill_(1.0)
            loss.weight.fill_(1.0)
        average.update()
        assert average.encoder[0].weight.item() == expected
        assert network[0].weight.item() == 1
    assert not any(weight.requires_grad for weight in average.encoder.parameters())
    assert average.steps == 2


def test_running_statistics_are_averaged_and_counters_copied():
    network = _network()
    average = WeightAverage(EMA(decay=0.5, warm_up=False), network, nn.Identity())
    with torch.no_grad():
        network[1].running_mean.fill_(4.0)
        network[1].num_batches_tracked.fill_(7)
    average.update()
    assert average.encoder[1].running_mean.item() == 2
    assert average.encoder[1].num_batches_tracked.item() == 7


def test_the_first_weights_are_soon_forgotten_where_the_decay_warms_up():
    kept = {}
    for warm_up in (True, False):
        kept[warm_up] = 1.0
        for step in range(1, 101):
            kept[warm_up] *= decay_after(EMA(decay=0.999, warm_up=warm_up), step)
    assert kept[False] == pytest.approx(0.905, abs=0.001)
    assert kept[True] < 1e-9
    assert decay_after(EMA(decay=0.999), 100_000) == 0.999


def test_an_average_goes_on_from_where_it_was_saved():
    network = _network()
    one = WeightAverage(EMA(decay=0.9), network, nn.Identity())
    with torch.no_grad():
        network[0].weight.fill_(1.0)
    one.update()
    other = WeightAverage(EMA(decay=0.9), network, nn.Identity())
    other.load({name: tensor.clone() for name, tensor in one.tensors().items()}, one.steps)
    for average in (one, other):
        average.update()
    assert torch.equal(one.encoder[0].weight, other.encoder[0].weight)
