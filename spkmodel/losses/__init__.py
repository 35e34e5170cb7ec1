"""Losses on embeddings, one builder: (embeddings, speakers) to a `LossOutput`.

Speakers are indices into the training speakers. A loss goes by them, not by the order of rows.
"""

from typing import assert_never

from torch import nn

from spkmodel import config as c
from spkmodel.losses.combined import CombinedLoss
from spkmodel.losses.output import LossOutput
from spkmodel.losses.prototypical import AngularPrototypicalLoss
from spkmodel.losses.softmax import AAMSoftmaxLoss, AMSoftmaxLoss, SoftmaxLoss
from spkmodel.losses.triplet import TripletLoss

__all__ = ["LossOutput", "build"]


def build(loss: c.Loss, embedding_dim: int, speakers: int) -> nn.Module:
    """The loss of a config; weights of its own, if it has any, are drawn from torch's generator."""
    match loss:
        case c.Softmax() | c.AMSoftmax() | c.AAMSoftmax():
            return _classification(loss, embedding_dim, speakers)
        case c.AngularPrototypical():
            return AngularPrototypicalLoss(loss.initial_scale, loss.initial_bias)
        case c.Triplet():
            return _triplet(loss)
        case c.Combined():
            return CombinedLoss(
                _classification(loss.classification, embedding_dim, speakers),
                _triplet(loss.triplet),
                loss.triplet_weight,
            )
        case _:
            assert_never(loss)


def _classification(loss: c.Classification, embedding_dim: int, speakers: int) -> nn.Module:
    match loss:
        case c.Softmax():
            return SoftmaxLoss(embedding_dim, speakers)
        case c.AMSoftmax():
            return AMSoftmaxLoss(embedding_dim, speakers, loss.margin, loss.scale)
        case c.AAMSoftmax():
            return AAMSoftmaxLoss(embedding_dim, speakers, loss.margin_rad, loss.scale)
        case _:
            assert_never(loss)


def _triplet(loss: c.Triplet) -> TripletLoss:
    return TripletLoss(loss.margin, loss.mining, loss.distance, loss.normalise)
