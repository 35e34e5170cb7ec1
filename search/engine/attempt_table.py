"""Keep the attempts that Tune is running, by the names that Tune gives them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Attempt:
    """One attempt at a segment."""

    trial: str
    number: int
    handed_out: float
    """When, by the monotonic clock."""
    tune_trial: Any = None
    """Tune's own trial, once there is one."""

    @property
    def key(self) -> tuple[str, int]:
        """Trial name and attempt number."""
        return self.trial, self.number

    @property
    def actor(self) -> Any:
        """The actor that runs the attempt; None before it has one."""
        return None if self.tune_trial is None else self.tune_trial.temporary_state.ray_actor


class AttemptTable:
    """Maps each of Tune's trials to the attempt that it runs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: dict[str, Attempt] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts.values())

    def add(self, tune_id: str, trial: str, number: int) -> None:
        """Add an attempt that Tune is given now."""
        self._attempts[tune_id] = Attempt(trial, number, self._clock())

    def attach(self, tune_trial: Any) -> None:
        """Remember Tune's own trial object of an attempt."""
        attempt = self._attempts.get(tune_trial.trial_id)
        if attempt is not None:
            attempt.tune_trial = tune_trial

    def find(self, tune_id: str) -> Attempt | None:
        """Return the attempt by Tune's name for it; None if it is over."""
        return self._attempts.get(tune_id)

    def remove(self, tune_id: str) -> Attempt | None:
        """Return an attempt that is over, and forget it; None if it was forgotten before."""
        return self._attempts.pop(tune_id, None)

    def has_waited(self, tune_id: str, seconds: float) -> bool:
        """Return whether an attempt was handed out longer ago than this."""
        attempt = self._attempts.get(tune_id)
        return attempt is not None and self._clock() - attempt.handed_out > seconds

    def working(self) -> dict[str, Attempt]:
        """Return the attempts that have an actor, by Tune's names."""
        return {key: each for key, each in self._attempts.items() if each.actor is not None}
