"""Which checkpoint of a search is taken, told from a story and what lies on disk."""

import pytest

from search.checkpoints import selection
from search.core.errors import NoUsableTrial
from tests.support.scripted_search import ScriptedSearch


def test_a_checkpoint_that_is_about_to_be_removed_is_not_chosen(tmp_path):
    tale = ScriptedSearch()
    tale.train(tale.trial(), 1, 0.3)
    place = tale.state.trials["t0001"].reports[1].checkpoint
    (tmp_path / place).mkdir(parents=True)
    assert selection.select_checkpoint(tale.state, tmp_path).report.checkpoint == place
    tale.remove("t0001", 1)
    with pytest.raises(NoUsableTrial):
        selection.select_checkpoint(tale.state, tmp_path)
