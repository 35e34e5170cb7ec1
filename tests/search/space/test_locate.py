"""Configs and other spaces' trials as points of a space."""

import pytest

from search.space import loader, locate
from search.space.branches import Range
from spkmodel.config import AAMSoftmax, AdamW, Combined, Softmax, TrainConfig, Weighted

SPACE = '''"""Which loss, how fast, in what batches?"""
from spkmodel.config import AAMSoftmax, AdamW, Batches, Softmax, TrainConfig
def space(trial):
    loss = Softmax()
    if trial.suggest_categorical("loss", ["softmax", "aam"]) == "aam":
        loss = AAMSoftmax(margin_rad=trial.suggest_float("margin_rad", 0.1, 0.5))
    speakers, utterances = {"16x2": (16, 2), "32x1": (32, 1)}[
        trial.suggest_categorical("batch", ["16x2", "32x1"])
    ]
    return TrainConfig(
        loss=loss,
        batches=Batches(speakers=speakers, utterances=utterances),
        optimiser=AdamW(
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
            weight_decay=trial.suggest_float("weight_decay", 0.0, 0.5),
        ),
    )
'''


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("spaces") / "made.py"
    path.write_text(SPACE)
    return loader.load(str(path))


def _config(space, **known):
    follower = locate.KnownAnswersTrial(known)
    config = space.function(follower)
    assert follower.misfits == {}
    return config


@pytest.mark.parametrize(
    "known",
    [
        {"loss": "aam", "margin_rad": 0.17, "batch": "32x1", "learning_rate": 3e-3},
        {"loss": "softmax", "batch": "16x2", "learning_rate": 2e-2, "weight_decay": 0.02},
    ],
)
def test_a_config_is_found_again_by_what_it_says(space, known):
    config = _config(space, **known).model_copy(update={"seed": 7})
    place = locate.locate_config(space, config)
    assert place.misfits == ()
    assert {name: place.axes[name] for name in known} == known
    assert _config(space, **place.axes).model_copy(update={"seed": 7}) == config


def test_two_axes_with_each_others_value_in_range_are_told_apart(space):
    place = locate.locate_config(space, _config(space, learning_rate=0.05, weight_decay=0.001))
    assert (place.axes["learning_rate"], place.axes["weight_decay"]) == (0.05, 0.001)


def test_what_the_space_cannot_make_is_told_field_by_field(space):
    config = TrainConfig(loss=AAMSoftmax(margin_rad=0.9), optimiser=AdamW(beta2=0.5))
    place = locate.locate_config(space, config)
    assert place.axes["loss"] == "aam"
    assert any("loss.margin_rad would be" in why and "not 0.9" in why for why in place.misfits)
    assert any("optimiser.beta2 would be" in why for why in place.misfits)
    both = Combined(terms=(Weighted(loss=Softmax()), Weighted(loss=AAMSoftmax())))
    assert locate.locate_config(space, TrainConfig(loss=both)).misfits


def test_answers_of_another_space_keep_what_fits_and_say_what_does_not(space):
    place = locate.locate_axes(space, {"loss": "softmax", "learning_rate": 0.5, "channels": 48})
    assert place.missing == ("batch", "weight_decay")
    assert place.misfits == ("learning_rate=0.5 is none of 0.0001 .. 0.1, log",)
    assert "channels" not in place.axes


@pytest.mark.parametrize(
    ("answer", "extent", "does"),
    [
        (1, Range("int", 1, 3), True),
        (2.5, Range("int", 1, 3), False),
        (4, Range("int", 1, 3), False),
        (True, Range("int", 0, 3), False),
        (0.3, Range("float", 0.0, 1.0, step=0.1), True),
        (0.35, Range("float", 0.0, 1.0, step=0.1), False),
        ("0.3", Range("float", 0.0, 1.0), False),
        (1, Range("categorical", choices=(True, False)), False),
        (None, Range("categorical", choices=("a", None)), True),
    ],
)
def test_a_value_fits_a_range_that_has_it(answer, extent, does):
    assert locate.fits(answer, extent) is does


def test_distances_are_shares_of_the_ranges_and_a_missing_axis_is_as_far_as_can_be(space):
    def at(**known):
        return locate.locate_axes(space, {"loss": "softmax", "batch": "16x2", **known})

    one = at(learning_rate=1e-4, weight_decay=0.0)
    assert locate.distance(one, one) == 0.0
    assert locate.distance(one, at(learning_rate=1e-1, weight_decay=0.0)) == pytest.approx(1 / 4)
    assert locate.distance(one, at(learning_rate=1e-1, weight_decay=0.25)) == pytest.approx(1.5 / 4)
    assert locate.distance(one, at(learning_rate=1e-4)) == pytest.approx(1 / 4)
    aam = at(loss="aam", margin_rad=0.2, learning_rate=1e-4, weight_decay=0.0)
    assert locate.distance(one, aam) == locate.distance(aam, one) == pytest.approx(2 / 5)
