"""Losses that cannot be are refused when they are written down, with the field and the remedy."""

import pytest

from spkmodel import config as c


def weighted(*losses):
    return tuple(c.Weighted(loss=loss) for loss in losses)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: c.Softmax(head_activation="relu"), "head_activation='relu' has no place in"),
        (lambda: c.Softmax(head="act_dense"), "head_activation must be 'relu' or 'swish'"),
        (lambda: c.Triplet(mining="rank"), "hard_rank and .*hard_probability must be given"),
        (lambda: c.Triplet(mining="rank", hard_rank=10), "voxceleb_trainer's are 10 and 0.5"),
        (lambda: c.Triplet(hard_rank=10, hard_probability=0.5), "belong to loss.mining='rank'"),
        (lambda: c.Triplet(form="positives_only"), "margin must be 0 and constant with"),
        (lambda: c.SubCentreAAMSoftmax(hard_speakers=0), "must both be 0 .* got 0 and 0.06"),
        (
            lambda: c.Combined(terms=weighted(c.Softmax())),
            "terms must be at least 2, got 1; a single loss needs no Combined",
        ),
        (lambda: c.Combined(terms=(c.Weighted(loss=c.Softmax(), weight=0),) * 2), "greater than 0"),
        (
            lambda: c.LinearMargin(from_epoch=3, to_epoch=3),
            "from_epoch must be below .*to_epoch, got 3.0 and 3.0",
        ),
        (
            lambda: c.ExponentialMargin(from_epoch=4, to_epoch=3),
            "from_epoch must be below .*to_epoch, got 4.0 and 3.0",
        ),
        (
            lambda: c.AMSoftmax(margin_schedule=c.StepMargin(initial=1.5)),
            "initial must be below 1.0 as the margin is, got 1.5",
        ),
        (
            lambda: c.AAMSoftmax(margin_rad=0.2, margin_schedule=c.LinearMargin(initial=0.2)),
            "initial=0.2 is the loss's own margin, so nothing would move",
        ),
    ],
)
def test_a_loss_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("form", ["objects", "json"])
def test_a_combined_within_a_combined_is_refused(form):
    inner = {"loss": c.Combined().model_dump(), "weight": 1.0}
    terms = [c.Weighted(loss=c.Softmax()).model_dump(), inner]
    if form == "objects":
        terms = [c.Weighted(loss=c.Softmax()), {"loss": c.Combined()}]
    with pytest.raises(ValueError, match="combined loss within a combined loss is one sum"):
        c.Combined.model_validate({"terms": terms})


LOSSES = [
    c.Softmax(head="dense_act_dense", head_activation="swish", head_dropout=0.5),
    c.SubCentreAAMSoftmax(margin_schedule=c.ExponentialMargin()),
    c.GE2E(),
    c.Triplet(mining="rank", hard_rank=10, hard_probability=0.5),
    c.Combined(terms=weighted(c.Softmax(), c.AngularPrototypical(), c.Centre())),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_a_config_with_any_loss_survives_json(loss):
    config = c.TrainConfig(loss=loss)
    assert c.TrainConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("loss", "needs"),
    [
        (c.Softmax(), 1),
        (c.AMSoftmax(), 1),
        (c.AAMSoftmax(), 1),
        (c.SubCentreAAMSoftmax(), 1),
        (c.Centre(), 1),
        (c.AngularPrototypical(), 2),
        (c.Prototypical(), 2),
        (c.GE2E(), 2),
        (c.Triplet(), 2),
        (c.Combined(), 2),
        (c.Combined(terms=weighted(c.Softmax(), c.Centre())), 1),
    ],
)
def test_a_training_gives_its_loss_the_utterances_it_needs(loss, needs):
    assert loss.needs_utterances == needs
    if needs == 1 and loss.kind != "centre":
        c.TrainConfig(loss=loss, batches=c.Batches(utterances=1))
    if needs == 2:
        with pytest.raises(ValueError, match=r"batches\.utterances must be at least 2 for .*got 1"):
            c.TrainConfig(loss=loss, batches=c.Batches(utterances=1))


@pytest.mark.parametrize("utterances", [3, 7])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
def test_more_utterances_than_a_loss_needs_are_welcome(loss, utterances):
    assert c.TrainConfig(loss=loss, batches=c.Batches(utterances=utterances)).loss == loss


def test_a_rank_beyond_the_negatives_of_a_batch_is_refused_with_the_remedy():
    """voxceleb_trainer fails with an IndexError in the middle of an epoch."""
    loss = c.Triplet(mining="rank", hard_rank=10, hard_probability=0.5)
    with pytest.raises(ValueError, match=r"offers 10: set it to 9 .*speakers to 12 or more"):
        c.TrainConfig(loss=loss, batches=c.Batches(speakers=11, utterances=2))
    c.TrainConfig(loss=loss, batches=c.Batches(speakers=12, utterances=2))
    with pytest.raises(ValueError, match=r"offers 10: set it to 9 .*speakers to 7 or more"):
        c.TrainConfig(loss=loss, batches=c.Batches(speakers=6, utterances=3))
    c.TrainConfig(loss=loss, batches=c.Batches(speakers=7, utterances=3))


@pytest.mark.parametrize(
    "loss",
    [
        c.Centre(),
        c.Triplet(form="positives_only", margin=0),
        c.Combined(terms=weighted(c.Centre(), c.Triplet(form="positives_only", margin=0))),
    ],
)
def test_a_loss_that_only_draws_together_is_refused(loss):
    with pytest.raises(ValueError, match="all would end in one point"):
        c.TrainConfig(loss=loss)
    beside = c.Combined(terms=(*c.terms_of(loss), c.Weighted(loss=c.Softmax())))
    assert c.TrainConfig(loss=beside).loss == beside


def test_a_corpus_with_too_few_speakers_for_the_penalty_is_refused():
    config = c.TrainConfig(loss=c.SubCentreAAMSoftmax(), batches=c.Batches(speakers=5))
    with pytest.raises(ValueError, match=r"hard_speakers=5 must be below .* 5; set it to 4"):
        c.check_classes(config.loss, 5)
    c.check_classes(config.loss, 6)


def test_with_margin_changes_the_margin_between_classes_and_nothing_else():
    moving = c.LinearMargin()
    assert c.with_margin(c.AMSoftmax(scale=20, margin_schedule=moving), 0.5) == c.AMSoftmax(
        margin=0.5, scale=20
    )
    aam = c.AAMSoftmax(scale=20, fallback="easy_margin", margin_schedule=moving)
    assert c.with_margin(aam, 0.5) == c.AAMSoftmax(margin_rad=0.5, scale=20, fallback="easy_margin")
    sub_centre = c.SubCentreAAMSoftmax(centres=2, margin_schedule=moving)
    without_penalty = c.SubCentreAAMSoftmax(
        margin_rad=0.5, centres=2, hard_speakers=0, hard_penalty_rad=0
    )
    assert c.with_margin(sub_centre, 0.5) == without_penalty
    both = c.Combined(terms=(c.Weighted(loss=aam, weight=2), c.Weighted(loss=c.Triplet())))
    assert c.with_margin(both, 0.5) == c.Combined(
        terms=(
            c.Weighted(loss=c.with_margin(aam, 0.5), weight=2),
            c.Weighted(loss=c.Triplet()),
        )
    )


@pytest.mark.parametrize("loss", [c.Softmax(), c.Triplet(), c.GE2E(), c.Combined()])
def test_with_margin_refuses_a_loss_without_a_margin_between_classes(loss):
    with pytest.raises(ValueError, match="fine_tune needs a loss with a margin between classes"):
        c.with_margin(loss, 0.5)


@pytest.mark.parametrize(
    ("loss", "margin", "message"),
    [
        (c.AMSoftmax(), 1.2, "fine_tune.margin must be below 1 with loss.kind='am_softmax'"),
        (c.SubCentreAAMSoftmax(), 0.0, "fine_tune.margin must be above 0"),
    ],
)
def test_with_margin_refuses_a_margin_out_of_the_losses_range(loss, margin, message):
    with pytest.raises(ValueError, match=message):
        c.with_margin(loss, margin)
