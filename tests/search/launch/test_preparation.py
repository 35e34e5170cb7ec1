"""What is said before a search starts."""

import pytest

from search.launch.preparation import stages_beyond
from search.space.loader import Branch
from spkmodel.config import LargeMarginFineTuning, TrainConfig


def _branch(from_epoch):
    tuning = None if from_epoch is None else LargeMarginFineTuning(from_epoch=from_epoch)
    return Branch({}, (), TrainConfig(fine_tune=tuning))


@pytest.mark.parametrize(
    ("starts", "first"), [([None], None), ([27], None), ([28], 28), ([None, 40, 30, 9], 30)]
)
def test_a_stage_that_no_trial_comes_to_is_told_with_its_first_epoch(starts, first):
    lines = stages_beyond([_branch(start) for start in starts], max_epochs=27)
    assert [f"from_epoch is {first} or more" in line for line in lines] == [True] * bool(first)
