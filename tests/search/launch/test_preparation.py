"""What is said before a search starts."""

import pytest

from search.core.errors import UsageError
from search.launch.preparation import open_checked_corpus, warn_of_dev_pairs, warn_of_late_stages
from search.launch.settings import LaunchRequest
from search.space.loader import Branch
from spkmodel.config import LargeMarginFineTuning, TrainConfig
from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL
from spkmodel.data.corpus import open_corpus
from tests.support import tone_corpus


def _branch(from_epoch):
    tuning = None if from_epoch is None else LargeMarginFineTuning(from_epoch=from_epoch)
    return Branch({}, (), TrainConfig(fine_tune=tuning))


@pytest.mark.parametrize(
    ("starts", "first"), [([None], None), ([27], None), ([28], 28), ([None, 40, 30, 9], 30)]
)
def test_a_stage_that_no_trial_comes_to_is_told_with_its_first_epoch(starts, first):
    lines = warn_of_late_stages([_branch(start) for start in starts], max_epochs=27)
    assert [f"from_epoch is {first} or more" in line for line in lines] == [True] * bool(first)


@pytest.mark.parametrize(
    ("space", "ends"), [("margin_softmax", "spaces/margin_softmax.py"), ("", "")]
)
def test_a_space_that_does_not_fit_is_named_with_its_file(tmp_path, space, ends):
    corpus = tone_corpus.write_corpus(tmp_path / "corpus")
    branches = [Branch({"loss": "softmax"}, (), TrainConfig())]
    with pytest.raises(UsageError, match=r"set batches\.speakers to 6 or less") as caught:
        open_checked_corpus(LaunchRequest(space=space or "replay", corpus=corpus), branches, None)
    advice = f"{ends}; change a copy of it, and launch the copy"
    assert str(caught.value).endswith(advice) == bool(space)
    assert ("change a copy" in str(caught.value)) == bool(space)


def test_dev_pairs_without_evidence_and_of_few_speakers_are_warned_of(tmp_path):
    folder = tone_corpus.write_corpus(tmp_path / "corpus")
    listed = folder / "valid_trials.txt"
    lines = listed.read_text().splitlines()
    _, one, _ = lines[0].split()
    listed.write_text("\n".join([*lines, f"1 {one} {one}", lines[0]]) + "\n")
    itself, again, few = warn_of_dev_pairs(open_corpus(folder))
    assert f"(line {len(lines) + 1}); they are counted" in itself
    assert f"(line {len(lines) + 2}); they are counted" in again
    assert few == (
        "warning: the dev pairs are of 2 speakers: no interval is shown for dev EERs, which needs "
        f"{LEAST_SPEAKERS_OF_AN_INTERVAL}"
    )
