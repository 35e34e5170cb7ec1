"""Margins that move with the epochs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel import config as c
from spkmodel import losses
from spkmodel.losses import margin_after
from tests.support.models.loss_family import SPEAKERS, built, combined, drawn

# WeSpeaker (dfa7419) from 0.05 to 0.2 between its epochs 3 and 7, 10 steps an epoch.
WESPEAKER = {
    "exponential": {0: 0.05, 19: 0.05, 20: 0.05, 30: 0.173325815518, 40: 0.195256585881}
    | {59: 0.19982172484, 60: 0.2, 70: 0.2},
    "linear": {0: 0.05, 19: 0.05, 20: 0.05, 30: 0.0875, 40: 0.125, 59: 0.19625, 60: 0.2, 70: 0.2},
}
MOVING = {"linear": c.LinearMargin, "exponential": c.ExponentialMargin}


@pytest.mark.parametrize("kind", MOVING)
def test_margins_move_as_wespeakers_do(kind):
    schedule = MOVING[kind](from_epoch=2, to_epoch=6, initial=0.05)
    found = {step: margin_after(schedule, 0.2, step / 10) for step in WESPEAKER[kind]}
    assert found == pytest.approx(WESPEAKER[kind], abs=1e-6)


def test_a_step_of_the_margin_is_that_of_entry_125():
    schedule = c.StepMargin(at_epoch=255, initial=0.5)
    assert [margin_after(schedule, 1.0, epochs) for epochs in (0, 254.9, 255, 511)] == [
        0.5,
        0.5,
        1.0,
        1.0,
    ]


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["linear", "exponential"]),
    start=st.floats(0, 10),
    length=st.floats(0.1, 10),
    full=st.floats(0.1, 1),
)
def test_a_margin_that_grows_never_falls_and_ends_at_the_losses_own(kind, start, length, full):
    schedule = MOVING[kind](from_epoch=start, to_epoch=start + length)
    margins = [margin_after(schedule, full, start - 1 + (length + 2) * k / 50) for k in range(51)]
    assert margins == sorted(margins)
    assert margins[0] == 0
    assert margins[-1] == full
    assert margin_after(c.ConstantMargin(), full, start) == full


def test_set_epochs_moves_every_margin_inside_a_loss():
    moving = c.LinearMargin(from_epoch=0, to_epoch=2)
    terms = (
        c.AMSoftmax(margin=0.2, margin_schedule=moving),
        c.AAMSoftmax(margin_rad=0.4, margin_schedule=moving),
        c.SubCentreAAMSoftmax(margin_rad=0.6, hard_speakers=2, margin_schedule=moving),
        c.Triplet(margin=1.0, margin_schedule=moving),
        c.Triplet(margin=2.0),
    )
    loss = built(combined(*((term, 1) for term in terms)))

    def margins(epochs):
        losses.set_epochs(loss, epochs)
        parts = loss(drawn(), SPEAKERS).parts
        return [amount.item() for name, amount in parts.items() if "margin" in name]

    assert margins(0) == [0, 0, 0, 0, 2]
    assert margins(1) == pytest.approx([0.1, 0.2, 0.3, 0.5, 2])
    assert margins(5) == pytest.approx([0.2, 0.4, 0.6, 1, 2])
    assert margins(1) == pytest.approx([0.1, 0.2, 0.3, 0.5, 2])


def test_before_it_is_told_of_any_epoch_a_loss_has_the_initial_margin():
    moving = c.Triplet(margin=1, margin_schedule=c.StepMargin(at_epoch=1, initial=0.5))
    assert (
        built(moving)(drawn(), SPEAKERS).loss
        == built(c.Triplet(margin=0.5))(drawn(), SPEAKERS).loss
    )


def test_semi_hard_mining_goes_by_the_margin_of_the_moment():
    config = c.Triplet(
        margin=2,
        mining="batch_semi_hard",
        margin_schedule=c.StepMargin(at_epoch=1, initial=0.1),
    )
    loss = built(config)
    for epochs, margin in ((0, 0.1), (1, 2)):
        losses.set_epochs(loss, epochs)
        fixed = built(c.Triplet(margin=margin, mining="batch_semi_hard"))
        assert loss(drawn(), SPEAKERS).loss == fixed(drawn(), SPEAKERS).loss


def test_the_margin_is_no_part_of_the_state():
    loss = built(c.AAMSoftmax(margin_schedule=c.LinearMargin()))
    assert list(loss.state_dict()) == ["weight"]
