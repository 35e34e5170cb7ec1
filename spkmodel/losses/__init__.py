"""Build losses: modules from (embeddings, speakers) to a `LossOutput`.

Speakers are indices into the training speakers. A loss goes by them, not by the order of rows
(where one utterance of a speaker has another part than the rest, it is the first).
"""

from functools import partial
from typing import assert_never

from torch import nn

from spkmodel import config as c
from spkmodel.losses.centre import CentreLoss
from spkmodel.losses.combined import CombinedLoss
from spkmodel.losses.margin_softmax import (
    AAMSoftmaxLoss,
    AMSoftmaxLoss,
    SubCentreAAMSoftmaxLoss,
)
from spkmodel.losses.margins import Margin, margin_after, set_epochs
from spkmodel.losses.mining import Rank, Strategy
from spkmodel.losses.output import LossOutput
from spkmodel.losses.prototypical import AngularPrototypicalLoss, GE2ELoss, PrototypicalLoss
from spkmodel.losses.softmax import SoftmaxLoss, dense_head
from spkmodel.losses.triplet import TripletLoss

__all__ = ["LossOutput", "build", "margin_after", "set_epochs"]


def build(
    loss: c.Loss, embedding_dim: int, speakers: int, most_utterances: int | None = None
) -> nn.Module:
    """Build the loss of a config; its own weights, if any, are drawn from torch's generator.

    Margins are as they are before the first step; `set_epochs` moves them.

    Args:
        loss: the config.
        embedding_dim: width of the embeddings.
        speakers: number of training speakers.
        most_utterances: the most that a speaker has in a batch; None: counted in every batch, for
            which triplet losses wait for a GPU.

    Raises:
        ValueError: if the loss cannot tell so few speakers apart as it is set.
    """
    c.check_classes(loss, speakers)
    match loss:
        case c.Softmax() | c.AMSoftmax() | c.AAMSoftmax() | c.SubCentreAAMSoftmax():
            return _classification(loss, embedding_dim, speakers)
        case c.AngularPrototypical() | c.Prototypical() | c.GE2E():
            return _prototypical(loss)
        case c.Triplet():
            return _triplet(loss, most_utterances)
        case c.Centre():
            return CentreLoss(embedding_dim, speakers, loss.centre_rate, loss.normalise)
        case c.Combined():
            return CombinedLoss(
                [term.loss.kind for term in loss.terms],
                [build(term.loss, embedding_dim, speakers, most_utterances) for term in loss.terms],
                [term.weight for term in loss.terms],
            )
        case _:
            assert_never(loss)


def _classification(loss: c.Classification, embedding_dim: int, speakers: int) -> nn.Module:
    match loss:
        case c.Softmax():
            activation = nn.SiLU() if loss.head_activation == "swish" else nn.ReLU()
            return SoftmaxLoss(
                dense_head(loss.head, activation, loss.head_dropout, embedding_dim, speakers)
            )
        case c.AMSoftmax():
            margin = _margin(loss.margin_schedule, loss.margin)
            return AMSoftmaxLoss(embedding_dim, speakers, margin, loss.scale)
        case c.AAMSoftmax():
            margin = _margin(loss.margin_schedule, loss.margin_rad)
            return AAMSoftmaxLoss(embedding_dim, speakers, margin, loss.scale, loss.fallback)
        case c.SubCentreAAMSoftmax():
            return SubCentreAAMSoftmaxLoss(
                embedding_dim,
                speakers,
                _margin(loss.margin_schedule, loss.margin_rad),
                loss.scale,
                loss.fallback,
                loss.centres,
                loss.hard_speakers,
                penalty_per_margin=loss.hard_penalty_rad / loss.margin_rad,
            )
        case _:
            assert_never(loss)


def _prototypical(loss: c.AngularPrototypical | c.Prototypical | c.GE2E) -> nn.Module:
    match loss:
        case c.AngularPrototypical():
            return AngularPrototypicalLoss(loss.initial_scale, loss.initial_bias)
        case c.Prototypical():
            return PrototypicalLoss()
        case c.GE2E():
            return GE2ELoss(loss.initial_scale, loss.initial_bias, loss.form, loss.floor_cosines)
        case _:
            assert_never(loss)


def _triplet(loss: c.Triplet, most_utterances: int | None) -> TripletLoss:
    margin = _margin(loss.margin_schedule, loss.margin)
    return TripletLoss(
        margin, _mining(loss), loss.distance, loss.normalise, loss.form, most_utterances
    )


def _mining(loss: c.Triplet) -> Strategy | Rank:
    if loss.mining != "rank":
        return loss.mining
    assert loss.hard_rank is not None  # the config has seen to both
    assert loss.hard_probability is not None
    return Rank(loss.hard_rank, loss.hard_probability)


def _margin(schedule: c.MarginSchedule, full: float) -> Margin:
    return Margin(partial(margin_after, schedule, full))
