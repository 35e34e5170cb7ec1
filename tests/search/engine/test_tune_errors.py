from pathlib import Path

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError

from search.engine import crash_classification
from search.engine.tune_errors import every_death_is_heard


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
    with every_death_is_heard():
        manager._actor_task_failed(tracked_actor_task=manager, exception=error)
    assert {crash_classification.of(str(heard), Path("/x")).kind for heard in manager.heard} == {
        kind
    }
    assert all(isinstance(heard, RayActorError) for heard in manager.heard)


def test_tune_itself_would_end_the_search_at_a_node_that_is_low_on_memory():
    """If this fails, `every_death_is_heard` may no longer be wanted."""
    with pytest.raises(RuntimeError, match="unexpected exception"):
        Manager()._actor_task_failed(Manager(), OutOfMemoryError("low on memory"))
