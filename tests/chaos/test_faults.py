"""A real search, struck again and again; afterwards every invariant holds."""

import numpy as np
import pytest

from bench.chaos import evidence, invariants, process_blows, processes, storage_blows, toy
from bench.chaos.bout import Bout, Size
from search.space import loader
from search.tracking import sync

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_search_survives_a_dead_trial_a_driver_that_dies_in_a_word_and_a_second_launch(tmp_path):
    """Of the blows each is followed by enough events that it was recovered from."""
    chance = np.random.default_rng(1)
    blows = (process_blows.kill_trial, storage_blows.tear_line, process_blows.launch_twice)
    bout = Bout(tmp_path / "struck", f"sqlite:///{tmp_path / 'mlflow.db'}", Size(trials=9))
    with processes.adopting():
        watch = processes.Watch()
        try:
            bout.launch()
            for blow in blows:
                assert bout.wait_for_events(bout.count() + 7), bout.output
                bout.strike()
                blow(bout, None, chance)
            assert bout.finish() == 0, bout.output
            left = watch.left()
        finally:
            bout.end()
            watch.left(2)
            processes.end_agents()
    assert bout.problems == []
    assert bout.notes["struck"]
    assert bout.launches == 2
    assert sync.catch_up(bout.ledger_path, bout.uri)
    found = evidence.read(bout.folder, bout.uri, toy.judge, loader.load(str(bout.space)), left)
    assert invariants.violations(found) == []
    for before in bout.before:
        assert invariants.lost_words(before, bout.ledger_path) == []
    assert bout.epochs_redone() <= 2, "one for the trial's death, one for the driver's"
    assert len(found.state.sessions) == 2
    assert sum(trial.crashes for trial in found.state.trials.values()) == 1
