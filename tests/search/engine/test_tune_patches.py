"""What Tune does where it is left alone, and what its patches make of it."""

import gc
import time
from pathlib import Path

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError
from ray.tune import registry
from ray.tune.execution import insufficient_resources_manager
from ray.tune.experiment import Trial

from search.engine import crash_classification
from search.engine.tune_patches import (
    cache_trainable_lookups,
    forget_ended_trials,
    report_actor_deaths,
)
from tests.support import toy_ray_search


class Manager(RayActorManager):
    """Tune's, with one task of one actor and nothing behind it."""

    def __init__(self):
        self.heard = []
        self._failed_actor_ids = set()
        self._tracked_actor = self
        self.actor_id = 1

    def _cleanup_actor(self, tracked_actor):
        """Nothing to clean."""

    def _on_error(self, _, exception):
        self.heard.append(exception)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            OutOfMemoryError("1 worker(s) were killed due to the node running low on"),
            "out_of_memory",
        ),
        (NodeDiedError("the node it ran on is gone"), "lost_node"),
        (RayActorError(error_msg="", preempted=True), "preempted"),
        (RayActorError(error_msg="an error code"), "crash"),
    ],
)
def test_any_error_of_rays_is_the_death_of_one_actor_and_says_which(error, kind):
    manager = Manager()
    with report_actor_deaths():
        manager._actor_task_failed(tracked_actor_task=manager, exception=error)
    assert {
        crash_classification.classify(str(heard), Path("/x")).kind for heard in manager.heard
    } == {kind}
    assert all(isinstance(heard, RayActorError) for heard in manager.heard)


def test_tune_itself_would_end_the_search_at_a_node_that_is_low_on_memory():
    """If this fails, `report_actor_deaths` may no longer be wanted."""
    with pytest.raises(RuntimeError, match="unexpected exception"):
        Manager()._actor_task_failed(Manager(), OutOfMemoryError("low on memory"))


# --- memory ----------------------------------------------------------------------------------


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
    forget_ended_trials(controller)
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
        forget_ended_trials(controller)
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


# --- the registry ----------------------------------------------------------------------------


def test_the_head_is_cache_trainable_lookups_of_a_trainable_and_every_time_of_anything_else(
    monkeypatch,
):
    asked = []

    def answer(key):
        asked.append(key)
        return registry.pickle.dumps("what it is")

    monkeypatch.setattr(registry, "_internal_kv_initialized", lambda: True)
    monkeypatch.setattr(registry, "_internal_kv_get", answer)
    known = registry._Registry(prefix="job")
    with cache_trainable_lookups():
        for _ in range(3):
            assert known.get(registry.TRAINABLE_CLASS, "toy") == "what it is"
            assert known.contains(registry.TRAINABLE_CLASS, "toy")
        assert len(asked) == 1
        for _ in range(2):
            assert known.get(registry.ENV_CREATOR, "toy") == "what it is"
        assert len(asked) == 3
    known.get(registry.TRAINABLE_CLASS, "toy")
    assert known.contains(registry.TRAINABLE_CLASS, "toy")
    assert len(asked) == 5, "afterwards Tune is as it was"


def test_what_the_head_does_not_know_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(registry, "_internal_kv_initialized", lambda: True)
    answers = iter([None, b"there now"])
    monkeypatch.setattr(registry, "_internal_kv_get", lambda _: next(answers))
    known = registry._Registry(prefix="job")
    with cache_trainable_lookups():
        assert not known.contains(registry.TRAINABLE_CLASS, "toy")
        assert known.contains(registry.TRAINABLE_CLASS, "toy")
