"""Margin losses have the values worked by hand and those of the trainers that made them known."""

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel import config as c
from spkmodel import losses
from spkmodel.losses.margin_softmax import add_margin
from tests.support.models.loss_family import SPEAKERS, built, drawn, waves

HAND_EMBEDDINGS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])
HAND_CLASSES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def with_classes(config, classes):
    speakers, dim = classes.shape[0], classes.shape[-1]
    loss = built(config, dim, speakers).to(classes.dtype)
    with torch.no_grad():
        loss.weight.copy_(classes)
    return loss


def by_hand(config):
    return with_classes(config, HAND_CLASSES)(HAND_EMBEDDINGS, torch.arange(3)).loss.item()


@pytest.mark.parametrize(
    ("margin", "scale", "expected"), [(0.3, 30.0, 14.016196), (0.1, 30.0, 11.016196)]
)
def test_am_softmax_has_the_values_worked_by_hand(margin, scale, expected):
    assert by_hand(c.AMSoftmax(margin=margin, scale=scale)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("margin_rad", "scale", "expected"),
    [
        (0.3, 30.0, 13.257805),
        (0.2, 30.0, 12.031219),
        (0.2, 32.0, 12.825222),
        (0.1, 30.0, 11.003906),
    ],
)
@pytest.mark.parametrize("fallback", ["sine_line", "cosine_line"])
def test_aam_softmax_has_the_values_worked_by_hand(margin_rad, scale, expected, fallback):
    config = c.AAMSoftmax(margin_rad=margin_rad, scale=scale, fallback=fallback)
    assert by_hand(config) == pytest.approx(expected, abs=2e-6)


# 12 embeddings, 3 of each speaker; at a margin of 1.2 rad one of the targets is past pi.
# sine_line and easy_margin: voxceleb_trainer (f51bab8); cosine_line: WeSpeaker (dfa7419).
@pytest.mark.parametrize(
    ("margin_rad", "fallback", "expected"),
    [
        (0.2, "sine_line", 17.38176046981936),
        (0.2, "cosine_line", 17.38176046981936),
        (0.2, "easy_margin", 15.188086813672358),
        (1.2, "sine_line", 40.79034008232504),
        (1.2, "cosine_line", 39.58832843823168),
        (1.2, "easy_margin", 30.423341284102804),
    ],
)
def test_aam_softmax_has_the_values_of_the_trainers(margin_rad, fallback, expected):
    config = c.AAMSoftmax(margin_rad=margin_rad, scale=30.0, fallback=fallback)
    loss = with_classes(config, waves(4, 5, rate=0.53))
    assert loss(waves(12, 5), SPEAKERS).loss.item() == pytest.approx(expected, rel=1e-12)


# WeSpeaker (dfa7419), its penalty being 0.06 at a margin of 0.2 and in proportion to the margin.
@pytest.mark.parametrize(
    ("margin_rad", "penalty_rad", "hard_speakers", "expected"),
    [
        (0.2, 0.06, 3, 15.748351171626757),
        (0.1, 0.03, 3, 12.816781292687127),
        (0.2, 0.0, 0, 14.840250589757387),
        (0.2, 0.06, 5, 15.748440987892629),
    ],
)
def test_sub_centres_with_inter_top_k_have_the_values_of_wespeaker(
    margin_rad, penalty_rad, hard_speakers, expected
):
    config = c.SubCentreAAMSoftmax(
        margin_rad=margin_rad,
        scale=32.0,
        hard_speakers=hard_speakers,
        hard_penalty_rad=penalty_rad,
    )
    loss = with_classes(config, waves(7 * 3, 5, rate=0.53).reshape(7, 3, 5))
    speakers = torch.tensor([0, 1, 2, 3, 4, 5, 6, 0, 2, 4, 6, 1])
    assert loss(waves(12, 5), speakers).loss.item() == pytest.approx(expected, rel=1e-12)


def test_the_inter_top_k_penalty_is_in_proportion_to_a_moving_margin():
    moving = c.SubCentreAAMSoftmax(
        margin_rad=0.2,
        hard_speakers=3,
        hard_penalty_rad=0.06,
        margin_schedule=c.LinearMargin(from_epoch=0, to_epoch=2),
    )
    half = moving.model_copy(update={"margin_rad": 0.1, "hard_penalty_rad": 0.03})
    classes = waves(7 * 3, 5, rate=0.53).reshape(7, 3, 5)
    speakers = torch.arange(12) % 7
    loss, other = with_classes(moving, classes), with_classes(half, classes)
    losses.set_epochs(loss, 1)
    losses.set_epochs(other, 2)
    assert loss(waves(12, 5), speakers).loss.item() == pytest.approx(
        other(waves(12, 5), speakers).loss.item(), rel=1e-12
    )


def test_one_centre_without_a_penalty_is_aam_softmax():
    one = c.SubCentreAAMSoftmax(centres=1, hard_speakers=0, hard_penalty_rad=0)
    classes = waves(4, 5, rate=0.53)
    found = with_classes(one, classes[:, None])(waves(12, 5), SPEAKERS).loss
    plain = c.AAMSoftmax(scale=32, fallback="cosine_line")
    assert found == with_classes(plain, classes)(waves(12, 5), SPEAKERS).loss


def test_as_many_hard_speakers_as_there_are_is_an_error_with_the_remedy():
    with pytest.raises(ValueError, match=r"hard_speakers=5 must be below .* 5; set it to 4"):
        built(c.SubCentreAAMSoftmax(), speakers=5)


def test_without_a_margin_both_margin_losses_are_the_scaled_cosine_softmax():
    am, aam = built(c.AMSoftmax(margin=0)), built(c.AAMSoftmax(margin_rad=0))
    aam.load_state_dict(am.state_dict())
    logits = 30 * F.normalize(drawn()) @ F.normalize(am.weight).T
    expected = F.cross_entropy(logits, SPEAKERS).item()
    assert am(drawn(), SPEAKERS).loss.item() == pytest.approx(expected, rel=1e-5)
    assert aam(drawn(), SPEAKERS).loss.item() == pytest.approx(expected, rel=1e-5)


def costs_by_angle(fallback, margin_rad):
    """What the target's logit lacks to 1, at 400 angles from 0 to pi."""
    angles = torch.linspace(0, math.pi, 400, dtype=torch.float64)
    return (1 - add_margin(angles.cos()[:, None], margin_rad, fallback))[:, 0].tolist()


@settings(max_examples=40, deadline=None)
@given(fallback=st.sampled_from(["sine_line", "cosine_line"]), margin_rad=st.floats(0, 1.59))
def test_with_either_line_a_wider_angle_always_costs_more(fallback, margin_rad):
    costs = costs_by_angle(fallback, margin_rad)
    assert costs == sorted(costs)


def test_the_cosine_line_joins_without_a_jump_and_the_sine_line_with_one():
    def widest_jump(fallback):
        return max(after - before for before, after in pairwise(costs_by_angle(fallback, 1.0)))

    assert widest_jump("cosine_line") < math.pi / 399
    assert widest_jump("sine_line") > math.sin(1.0) - 1 + math.cos(1.0)


def test_the_easy_margin_ends_at_a_right_angle():
    costs = costs_by_angle("easy_margin", 0.5)
    assert costs[199] > costs[200]
    assert costs[-1] == pytest.approx(2)


def test_the_accuracy_of_a_margin_loss_is_that_without_the_margin():
    loss = with_classes(c.AMSoftmax(margin=0.9), HAND_CLASSES)
    # Only the third is nearer to another class than to its own.
    accuracy = loss(HAND_EMBEDDINGS, torch.arange(3)).parts["accuracy"]
    assert accuracy.item() == pytest.approx(2 / 3)


def test_in_bfloat16_a_small_angle_keeps_its_margin():
    """Rounded to bfloat16, the cosine of 0.05 rad is 1, and its sine 0."""

    def at(angle):
        return torch.tensor([[math.cos(angle), math.sin(angle)]])

    # As far from the other class as the target is with its margin: a coin is tossed.
    loss = with_classes(c.AAMSoftmax(margin_rad=0.2), torch.cat([at(0.0), at(0.3)]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(at(0.05), torch.tensor([0])).loss.item()
    assert found == pytest.approx(math.log(2), rel=1e-5)
