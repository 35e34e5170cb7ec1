"""Where pytorch-metric-learning defines the same loss, ours has its value and its gradient."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners, reducers

from spkmodel import config as c
from tests.support.models.loss_family import SPEAKERS, built, drawn

ROWS = drawn(3, rows=12, dim=5).double()
DISTANCES = {
    "euclidean": lambda unit: distances.LpDistance(normalize_embeddings=unit),
    "squared": lambda unit: distances.LpDistance(normalize_embeddings=unit, power=2),
}


def value_and_gradient(loss):
    rows = ROWS.clone().requires_grad_()
    cost = loss(rows)
    cost.backward()
    return cost.item(), rows.grad


def agree(ours, theirs):
    (a, slope_a), (b, slope_b) = value_and_gradient(ours), value_and_gradient(theirs)
    assert a == pytest.approx(b, rel=1e-6)
    torch.testing.assert_close(slope_a, slope_b, rtol=1e-5, atol=1e-7)


def ours(config):
    loss = built(config, dim=5).double()
    return loss, lambda rows: loss(rows, SPEAKERS).loss


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("margin", [0.2, 1.5])
def test_triplets_of_batch_all(distance, normalise, margin):
    theirs = losses.TripletMarginLoss(margin, distance=DISTANCES[distance](normalise))
    _, own = ours(c.Triplet(margin=margin, distance=distance, normalise=normalise))
    agree(own, lambda rows: theirs(rows, SPEAKERS))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("seed", range(20))
def test_all_triplets_of_a_soft_margin_count_also_those_that_cost_next_to_nothing(distance, seed):
    theirs = losses.TripletMarginLoss(
        0.3, distance=DISTANCES[distance](False), smooth_loss=True, reducer=reducers.MeanReducer()
    )
    config = c.Triplet(margin=0.3, distance=distance, form="softplus", normalise=False)
    # So far apart that some triplets cost under 1e-16.
    rows = 4 * drawn(seed, rows=12, dim=5).double()
    assert float(built(config, dim=5).double()(rows, SPEAKERS).loss) == pytest.approx(
        float(theirs(rows, SPEAKERS)), rel=1e-9
    )


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("form", ["hinge", "softplus"])
def test_triplets_of_batch_hard(distance, form):
    measure = DISTANCES[distance](False)
    miner = miners.BatchHardMiner(distance=measure)
    theirs = losses.TripletMarginLoss(
        0.4, distance=measure, smooth_loss=form == "softplus", reducer=reducers.MeanReducer()
    )
    config = c.Triplet(
        margin=0.4, mining="batch_hard", distance=distance, form=form, normalise=False
    )
    agree(ours(config)[1], lambda rows: theirs(rows, SPEAKERS, miner(rows, SPEAKERS)))


def test_triplets_on_the_cosine():
    theirs = losses.TripletMarginLoss(0.3, distance=distances.CosineSimilarity())
    agree(
        ours(c.Triplet(margin=0.3, distance="cosine"))[1],
        lambda rows: theirs(rows, SPEAKERS),
    )


def with_the_same_classes(theirs, loss):
    theirs = theirs.double()
    with torch.no_grad():
        theirs.W.copy_(loss.weight.reshape(-1, 5).T)
    return lambda rows: theirs(rows, SPEAKERS)


def test_am_softmax_is_cosface():
    loss, own = ours(c.AMSoftmax(margin=0.25, scale=20))
    agree(own, with_the_same_classes(losses.CosFaceLoss(4, 5, margin=0.25, scale=20), loss))


@pytest.mark.parametrize("margin_rad", [0.3, 1.3])  # at 1.3 some targets are past pi
def test_aam_softmax_is_arcface_its_line_too(margin_rad):
    loss, own = ours(c.AAMSoftmax(margin_rad=margin_rad, scale=20))
    targets = F.cosine_similarity(ROWS, loss.weight[SPEAKERS])
    assert bool((targets < -math.cos(margin_rad)).any()) == (margin_rad == 1.3)
    degrees = math.degrees(margin_rad)
    agree(own, with_the_same_classes(losses.ArcFaceLoss(4, 5, margin=degrees, scale=20), loss))


def test_sub_centre_aam_softmax_without_a_penalty_is_sub_centre_arcface():
    config = c.SubCentreAAMSoftmax(
        margin_rad=0.3, scale=20, fallback="sine_line", hard_speakers=0, hard_penalty_rad=0
    )
    loss, own = ours(config)
    theirs = losses.SubCenterArcFaceLoss(
        num_classes=4, embedding_size=5, margin=math.degrees(0.3), scale=20, sub_centers=3
    )
    agree(own, with_the_same_classes(theirs, loss))
