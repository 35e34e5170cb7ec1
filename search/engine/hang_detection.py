"""Decide when an attempt that reports nothing counts as hung; the clock is passed in.

What counts is silence that the driver was there to hear: while it waits for storage, or is itself
suspended, nobody's silence grows.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from search.ledger.trial import TrialRecord

_ABSENCE_SECONDS = 5.0
"""Between two looks further apart than this, the driver was away."""


@dataclass(frozen=True, slots=True)
class HangTimeout:
    """How long an attempt may be silent."""

    epochs: float = 10.0
    """In usual epochs of the trial."""
    floor_seconds: float = 120.0
    """At least this: the first epoch opens the corpus, and a short one may wait for its disk."""


def longest_silence(
    trial: TrialRecord, trials: Iterable[TrialRecord], patience: HangTimeout
) -> float:
    """Return the seconds of silence after which an attempt counts as hung; infinite without data.

    Usual is the median of its own epochs. A trial without any may be the largest of all, so the
    slowest other trial counts.
    """
    usual = _usual(trial)
    if usual is None:
        others = [each for each in map(_usual, trials) if each is not None]
        usual = max(others, default=math.inf)
    return max(patience.floor_seconds, patience.epochs * usual)


def _usual(trial: TrialRecord) -> float | None:
    seconds = [report.seconds for report in trial.reports.values()]
    return median(seconds) if seconds else None


class Heartbeats:
    """Measures how long each attempt has been silent; an attempt is named by any key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._measured = clock()
        self._seconds: dict[str, float] = {}

    def record(self, key: str) -> None:
        """Reset an attempt's silence to zero."""
        self._seconds[key] = 0.0

    def measure_silence(self, at_work: Iterable[str]) -> Mapping[str, float]:
        """Return the seconds of silence of the running attempts; the others are forgotten."""
        now = self._clock()
        passed = min(now - self._measured, _ABSENCE_SECONDS)
        self._measured = now
        heard = self._seconds
        self._seconds = {key: heard[key] + passed if key in heard else 0.0 for key in at_work}
        return self._seconds
