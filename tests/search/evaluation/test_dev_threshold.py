"""The threshold that was chosen on dev pairs: that of the same weights, and no other."""

import json

import numpy as np
import pytest

from search.evaluation.dev_threshold import find_dev_threshold, rates_at_dev_threshold
from search.models.loader import Model


def model(source="night/t0003 (epoch 3)", sha256="a" * 64):
    return Model(None, None, source, sha256, "night", "t0003", 3)


@pytest.fixture
def promoted(spksearch_home):
    folder = spksearch_home / "night" / "promoted" / "t0003-3"
    folder.mkdir(parents=True)
    document = {
        "schema": "spksearch.promotion/1",
        "model": {"sha256": "a" * 64},
        "dev": {"threshold": 0.61},
    }
    (folder / "report.json").write_text(json.dumps(document))
    return folder


@pytest.mark.usefixtures("promoted")
def test_a_trial_has_the_threshold_of_its_promotion():
    assert find_dev_threshold(model()) == 0.61


def test_a_promoted_folder_has_its_own_wherever_it_lies(promoted, tmp_path):
    moved = promoted.rename(tmp_path / "elsewhere")
    assert find_dev_threshold(model(str(moved))) == 0.61


@pytest.mark.usefixtures("promoted")
def test_other_weights_of_the_same_trial_have_none():
    assert find_dev_threshold(model(sha256="b" * 64)) is None


@pytest.mark.usefixtures("spksearch_home")
def test_a_trial_that_was_not_promoted_has_none():
    assert find_dev_threshold(model()) is None
    assert rates_at_dev_threshold(None, np.zeros(2), np.array([True, False])) is None


def test_the_rates_are_those_of_accepting_at_the_threshold():
    scores, targets = np.array([0.5, 0.7, 0.6, 0.4]), np.array([True, True, False, False])
    assert rates_at_dev_threshold(0.6, scores, targets) == {
        "threshold": 0.6, "miss": 0.5, "false_alarm": 0.5,
    }  # fmt: skip
