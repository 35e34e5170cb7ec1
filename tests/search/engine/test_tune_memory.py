import gc
import time

import pytest
from ray.tune.execution import insufficient_resources_manager
from ray.tune.experiment import Trial

from search.engine.tune_memory import forget_ended
from tests.support import toy_ray_search


class Controller:
    """What Tune's controller keeps its trials in."""

    def __init__(self, states):
        self._trials = [FakeTrial(f"tune{place}", state) for place, state in enumerate(states)]
        self._trial_to_actor = {}
        self._live_trials = {each for each in self._trials if each.status != "TERMINATED"}
        self._stopped_trials = {each for each in self._trials if each.status == "TERMINATED"}
        self._failed_trials = {each for each in self._trials if each.status == "ERROR"}
        self._trials_to_cache = set(self._trials)
        self._trial_metadata = {each.trial_id: "{}" for each in self._trials}

    def get_trials(self):
        return self._trials


class FakeTrial:
    def __init__(self, trial_id, status):
        self.trial_id, self.status = trial_id, status

    def is_finished(self):
        return self.status in ("TERMINATED", "ERROR")


def test_what_has_ended_is_forgotten_everywhere_but_for_the_last_and_what_an_actor_still_has():
    controller = Controller(["TERMINATED", "ERROR", "RUNNING", "TERMINATED", "PENDING", "ERROR"])
    third, fourth, fifth, last = controller._trials[2:]
    listed = controller._trials
    controller._trial_to_actor[fourth] = "an actor"
    forget_ended(controller)
    assert controller._trials is listed, "Tune hands this list to its callbacks"
    assert listed == [third, fourth, fifth, last]
    assert controller._trials_to_cache == {third, fourth, fifth, last}
    assert controller._live_trials == {third, fifth, last}
    assert (controller._stopped_trials, controller._failed_trials) == ({fourth}, {last})
    assert controller._trial_metadata.keys() == {each.trial_id for each in listed}


def test_tune_finds_a_trial_when_no_actor_has_run_for_long(monkeypatch):
    """It takes the first of its list, to warn of resources that are not there."""
    told = []
    # Not by the environment: Tune remembers what it read there for an earlier search.
    monkeypatch.setattr(
        insufficient_resources_manager,
        "_get_insufficient_resources_warning_threshold",
        lambda: 0.0,
    )
    monkeypatch.setattr(
        insufficient_resources_manager,
        "_get_insufficient_resources_warning_msg",
        lambda trial, **_: told.append(trial) or "",
    )
    controller = Controller(["TERMINATED", "TERMINATED"])
    manager = insufficient_resources_manager._InsufficientResourcesManager()
    for _ in range(3):
        forget_ended(controller)
        manager.on_no_available_trials(controller.get_trials())
        time.sleep(0.01)
    assert told == controller.get_trials()


@pytest.mark.ray
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("local_ray")
def test_a_search_holds_few_of_the_trials_that_tune_has_run(tmp_path):
    held = []

    def count():
        reports = (tmp_path / "many" / "ledger.jsonl").read_text().count('"report"')
        if not held and reports >= 12:
            gc.collect()
            held.append(sum(type(each) is Trial for each in gc.get_objects()))

    state = toy_ray_search.run_search(tmp_path / "many", trials=12, poll=count)
    assert sum(trial.attempt for trial in state.trials.values()) >= 12
    assert held[0] <= 6, "two under way, two waiting for an actor, the last one"
