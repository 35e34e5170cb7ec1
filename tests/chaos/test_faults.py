"""A real search, struck again and again; afterwards every invariant holds."""

import numpy as np
import pytest

from bench.chaos import evidence, invariants, processes
from bench.chaos.experiment import Experiment, Size
from bench.chaos.faults import process_faults, storage_faults
from bench.chaos.toy import training
from search.space import loader
from search.tracking import sync

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_search_survives_a_dead_trial_a_driver_that_dies_in_a_word_and_a_second_launch(tmp_path):
    """Of the blows each is followed by enough events that it was recovered from."""
    chance = np.random.default_rng(1)
    blows = (process_faults.kill_trial, storage_faults.tear_line, process_faults.launch_twice)
    experiment = Experiment(
        tmp_path / "struck", f"sqlite:///{tmp_path / 'mlflow.db'}", Size(trials=9)
    )
    with processes.adopting():
        watch = processes.ProcessWatch()
        try:
            experiment.launch()
            for inject in blows:
                assert experiment.wait_for_events(experiment.count() + 7), experiment.output
                experiment.mark_injection()
                inject(experiment, None, chance)
            assert experiment.finish() == 0, experiment.output
            left = watch.left()
        finally:
            experiment.end()
            watch.left(2)
            processes.end_agents()
    assert experiment.problems == []
    assert experiment.notes["struck"]
    assert experiment.launches == 2
    assert sync.catch_up(experiment.ledger_path, experiment.uri)
    found = evidence.read(
        experiment.folder,
        experiment.uri,
        training.checkpoint_eer,
        loader.load(str(experiment.space)),
        left,
    )
    assert invariants.violations(found) == []
    for before in experiment.before:
        assert invariants.lost_ledger_bytes(before, experiment.ledger_path) == []
    assert experiment.epochs_redone() <= 2, "one for the trial's death, one for the driver's"
    assert len(found.state.sessions) == 2
    assert sum(trial.crashes for trial in found.state.trials.values()) == 1
