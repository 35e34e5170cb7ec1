"""What is said before a search starts."""

import pytest

from search.core.errors import UsageError
from search.core.paths import ledger_path
from search.core.progress import Silent
from search.launch import drive, launch
from search.launch.preparation import (
    describe_default_trial,
    open_checked_corpus,
    read_default_trial,
    warn_of_dev_pairs,
    warn_of_late_stages,
)
from search.launch.settings import LaunchRequest
from search.ledger.ledger import Ledger
from search.ledger.queue import QueuedTrial
from search.space import loader
from search.space.loader import Branch
from spkmodel.config import LargeMarginFineTuning, TrainConfig
from spkmodel.core.least_speakers import LEAST_SPEAKERS_OF_AN_INTERVAL
from spkmodel.data.corpus import open_corpus
from tests.support import tone_corpus
from tests.support.events import append, event_of
from tests.support.tiny_space import SPACE


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


def _settings(**fields):
    return event_of("search", **fields).settings


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(SPACE)
    return loader.load(str(path))


def test_the_default_trial_has_the_seed_of_the_search_and_a_point_of_the_space(tiny, tmp_path):
    request = LaunchRequest(space="tiny", corpus=tmp_path, seed=7)
    default = read_default_trial(tiny, request, None)
    assert (default.key, default.origin) == ("default", "default")
    assert default.config["seed"] == 7
    assert default.axes == {"channels": 8, "learning_rate": 0.002}
    assert default.distributions.keys() == default.axes.keys()
    assert "channels=8 learning_rate=0.002 (--no-default-trial" in describe_default_trial(default)


def test_no_default_trial_where_none_is_wanted_or_the_search_had_none(tiny, tmp_path):
    refused = LaunchRequest(space="tiny", corpus=tmp_path, default_trial=False)
    assert read_default_trial(tiny, refused, None) is None
    plain = LaunchRequest(space="tiny", corpus=tmp_path)
    assert read_default_trial(tiny, plain, _settings(default_trial=False)) is None
    assert (
        read_default_trial(tiny, plain, _settings(default_trial=True, seed=3)).config["seed"] == 3
    )


def test_a_default_that_does_not_fit_the_corpus_is_refused_before_anything_starts(tmp_path):
    corpus = tone_corpus.write_corpus(tmp_path / "corpus")
    default = QueuedTrial("default", TrainConfig().model_dump(mode="json"), "default")
    request = LaunchRequest(space="replay", corpus=corpus)
    with pytest.raises(UsageError, match="which --no-default-trial leaves out"):
        open_checked_corpus(request, [], None, default)


@pytest.mark.usefixtures("spksearch_home")
def test_a_launch_that_died_before_its_default_was_queued_queues_it_once(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(drive, "drive_search", lambda *_: None)
    settings = _settings(default_trial=True, gpus_per_trial=0)
    with Ledger.open(ledger_path("night"), write=True, search="night") as ledger:
        append(ledger, "search", **settings.model_dump())
    request = LaunchRequest(space="tiny", corpus=tmp_path)
    for _ in range(2):
        default = read_default_trial(tiny, request, settings)
        launch.run_search("night", request, tiny, settings, settings, Silent(), queued=[default])
    events = [event.event for event in Ledger.open(ledger_path("night")).events()]
    assert events == ["search", "queued"]
