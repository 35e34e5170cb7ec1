"""Notice that a cluster starts nothing any more, and end a search whose cluster is lost."""

import time
from collections.abc import Callable
from typing import Any

from search.cluster.cluster_watch import STALL, ClusterWatch
from search.core.errors import ClusterLostError
from search.engine import tune_patches
from search.engine.attempt_table import AttemptTable

_ABSENCE_SECONDS = 5.0
"""Between two looks further apart than this, the driver was away."""


class ClusterProgress:
    """How long attempts have waited to start while none worked."""

    def __init__(
        self,
        watch: ClusterWatch,
        attempts: AttemptTable,
        slots: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watch = watch
        self._attempts = attempts
        self._slots = slots
        self._clock = clock
        self._measured = clock()
        self._waited = 0.0

    def check(self, tune_controller: Any) -> None:
        """Look once, at every step of the driver.

        Args:
            tune_controller: Tune's, None before it has a trial.

        Raises:
            ClusterLostError: nothing can go on here.
        """
        self._watch.beat()
        now = self._clock()
        passed = min(now - self._measured, _ABSENCE_SECONDS)
        self._measured = now
        self._waited = self._waited + passed if self._waits(tune_controller) else 0.0
        if self._waited > self._watch.stall_seconds:
            self._watch.report(
                f"no trial has started for {self._waited:.0f} s, and none runs ({STALL})"
            )
        if self._watch.loss:
            raise ClusterLostError(self._watch.loss)

    def _waits(self, tune_controller: Any) -> bool:
        """Return whether attempts wait, none works, and nothing excuses it."""
        if not len(self._attempts) or self._attempts.working() or self._slots() <= 0:
            return False
        # What others use of a shared cluster may be theirs for days.
        may_be_full = self._watch.shared and tune_controller is not None
        return not (may_be_full and tune_patches.is_waiting_for_resources(tune_controller))
