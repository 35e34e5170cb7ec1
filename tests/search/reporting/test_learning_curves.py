"""The picture of a training: what the ledger says, and nothing of what it does not."""

import math
import struct

import pytest

from search.core.errors import NotFinished, UsageError
from search.reporting import learning_curves
from tests.support.scripted_search import ScriptedSearch


@pytest.fixture
def tale():
    """t0001 is at rung 3, its second epoch is no number; t0002 has just begun."""
    tale = ScriptedSearch()
    trial = tale.trial()
    tale.record("search", dev_condition="clean")
    tale.segment(trial, 3)
    for epoch, eer in ((1, 0.3), (2, math.nan), (3, 0.2)):
        more = {"dev_eer_low": eer - 0.05, "dev_eer_high": eer + 0.05, "train_loss": 4.0 / epoch}
        tale.record(
            "report", trial=trial, attempt=1, epoch=epoch, metrics={"dev_eer": eer, **more},
            seconds=1.0, checkpoint="c", sha256="0",
        )  # fmt: skip
    tale.trial()
    return tale


def size_of(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_the_curves_are_the_ledgers_epochs(tale):
    found = learning_curves.collect_epochs(tale.state.trials["t0001"], tale.state.rungs)
    assert found.epochs == (1, 2, 3)
    assert found.eer == pytest.approx((0.3, math.nan, 0.2), nan_ok=True)
    assert found.high == pytest.approx((0.35, math.nan, 0.25), nan_ok=True)
    assert found.loss == pytest.approx((4, 2, 4 / 3))
    assert (found.rungs, found.best) == ((1, 3, 9), 3)


def test_an_epoch_without_an_interval_or_a_loss_is_drawn_without(tmp_path):
    tale = ScriptedSearch()
    trial = tale.trial()
    tale.train(trial, 1, 0.25)
    found = learning_curves.collect_epochs(tale.state.trials[trial], tale.state.rungs)
    assert [math.isnan(value) for value in (*found.eer, *found.low, *found.loss)] == [
        False,
        True,
        True,
    ]
    learning_curves.draw_epochs(tmp_path / "e.png", found, "story/t0001", "")
    assert size_of(tmp_path / "e.png") == (1000, 950)


def test_a_trial_is_drawn_as_it_is(tale, tmp_path):
    state = tale.state
    learning_curves.plot_trial(tmp_path / "t.png", "story", state, state.trials["t0001"])
    assert size_of(tmp_path / "t.png")[0] == 1000
    with pytest.raises(NotFinished, match="t0002 has no epoch yet"):
        learning_curves.plot_trial(tmp_path / "u.png", "story", state, state.trials["t0002"])


@pytest.mark.parametrize(
    ("name", "words"), [("t.pdf", r"a PNG is written"), ("no/t.png", "no folder .*no")]
)
def test_a_file_that_cannot_be_drawn_into_is_refused(tale, tmp_path, name, words):
    with pytest.raises(UsageError, match=words):
        learning_curves.plot_trial(tmp_path / name, "story", tale.state, tale.state.trials["t0001"])
