import pytest

from search.core.errors import UsageError
from search.space import loader
from search.space.default_point import find_default_point
from spkmodel.config import AdamW, TrainConfig

_SPACE = '''"""What is the default here?"""
from spkmodel.config import TDNN, AAMSoftmax, AdamW, Batches, Softmax, TrainConfig
DEFAULT = {default}

def space(trial):
    {body}
'''

_LOSS_AND_RATE = """
    if trial.suggest_categorical("loss", ["softmax", "aam"]) == "aam":
        loss = AAMSoftmax(margin_rad=trial.suggest_float("margin", 0.05, 0.4))
    else:
        loss = Softmax()
    rate = trial.suggest_float("rate", {low}, {high}, log=True)
    return TrainConfig(loss=loss, optimiser=AdamW(learning_rate=rate))
"""


def _space(tmp_path, body, default="{}"):
    path = tmp_path / "mine.py"
    path.write_text(_SPACE.format(body=body.strip(), default=default))
    return loader.load(str(path))


def test_each_parameter_has_the_value_of_the_default_config(tmp_path):
    space = _space(tmp_path, _LOSS_AND_RATE.format(low=1e-4, high=1e-1))
    default = TrainConfig()
    assert find_default_point(space) == {
        "loss": "aam",
        "margin": default.loss.margin_rad,
        "rate": AdamW().learning_rate,
    }


def test_a_range_without_the_defaults_value_is_answered_with_its_geometric_middle(tmp_path):
    space = _space(tmp_path, _LOSS_AND_RATE.format(low=1e-6, high=1e-4))
    assert find_default_point(space)["rate"] == pytest.approx(1e-5)


def test_where_no_choice_is_the_defaults_the_first_one_is_taken(tmp_path):
    # The default encoder is wider, and its channels agree with neither choice.
    body = 'return TrainConfig(encoder=TDNN(channels=trial.suggest_categorical("c", [16, 32])))'
    assert find_default_point(_space(tmp_path, body)) == {"c": 16}


def test_a_space_names_answers_of_its_own_and_the_others_follow(tmp_path):
    body = _LOSS_AND_RATE.format(low=1e-4, high=1e-1)
    space = _space(tmp_path, body, default="{'loss': 'softmax'}")
    assert find_default_point(space) == {"loss": "softmax", "rate": AdamW().learning_rate}


@pytest.mark.parametrize(
    ("default", "reason"),
    [
        ("{'rate': 1.0}", "rate=1.0 is none of 0.0001 .. 0.1, log"),
        ("{'loss': 'softmax', 'margin': 0.1}", "margin is not asked for"),
        ("{'lr': 0.1}", "it asks for loss, margin, rate"),
    ],
)
def test_an_answer_that_the_space_does_not_take_is_an_error(tmp_path, default, reason):
    space = _space(tmp_path, _LOSS_AND_RATE.format(low=1e-4, high=1e-1), default)
    with pytest.raises(UsageError, match=reason):
        find_default_point(space)


def test_a_default_that_is_no_mapping_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="DEFAULT must be a mapping"):
        _space(tmp_path, "return TrainConfig()", default="3")


def test_a_default_point_that_is_no_config_says_why(tmp_path):
    body = """
    if trial.suggest_float("x", 0.0, 1.0) < 0.6:
        raise ValueError("x is too small")
    return TrainConfig()
"""
    with pytest.raises(UsageError, match=r"its default point \(x = 0.5\): x is too small"):
        find_default_point(_space(tmp_path, body))


@pytest.mark.parametrize("name", loader.available())
def test_every_shipped_space_has_a_default_point(name):
    space = loader.load(name)
    asked = find_default_point(space)
    assert asked.keys() <= {axis.name for axis in loader.describe(space)}
