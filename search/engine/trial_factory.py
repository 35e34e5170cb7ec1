"""Create trials from the sampler or the queue, as the events that record them before training."""

import logging
import os
from collections import Counter
from typing import Any

from search.checkpoints import storage_health, warm_start
from search.core.errors import UsageError
from search.ledger.events import ExhaustedEvent, TrialEvent, WithdrawnEvent
from search.ledger.kinds import Strategy
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.sampler import sampler
from search.sampler.history import SamplerHistory
from search.scheduler.policy import AshaPolicy
from search.space import model_size
from search.space.branches import Space
from spkmodel.config import TrainConfig, WarmStart

log = logging.getLogger(__name__)

_POSTPONEMENTS = 5
"""Times that a queued trial is tried again whose weights the storage refuses: a minute or two."""


class StartPostponed(Exception):
    """The storage failed while a trial was being created; it is tried again later."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(where)
        self.number = number
        """Of the operating system's error."""
        self.where = where


class TrialFactory:
    """Creates one search's trials, for as long as its driver lives."""

    def __init__(
        self,
        state: SearchState,
        space: Space,
        seed: int,
        strategy: Strategy,
        known: SamplerHistory,
    ) -> None:
        """Prepare; trials are created one by one.

        Args:
            state: kept up to date by whoever takes the events.
            space: asked for ideas.
            seed: of the sampler.
            strategy: how configs are suggested.
            known: what the sampler goes by; follows `state`.
        """
        self._state = state
        self._space = space
        self._seed = seed
        self._strategy = strategy
        self._known = known
        self._postponed: Counter[str] = Counter()
        """By key of a queued trial: how often the storage was in the way of its weights."""

    def from_sampler(self, policy: AshaPolicy) -> TrialEvent | ExhaustedEvent:
        """Return the event of the sampler's next trial, or that every config was tried.

        Raises:
            UsageError: the weights that the space starts from are not there, or do not fit.
            StartPostponed: the storage is in the way of them.
        """
        idea = sampler.suggest(
            self._space, self._state, policy, self._seed, self._strategy, self._known
        )
        if idea is None:
            return ExhaustedEvent(trials=len(self._state.trials))
        return self._create(
            idea.config, origin=idea.origin, axes=idea.axes, distributions=idea.distributions
        )

    def from_queue(self, queued: QueuedTrial) -> TrialEvent | WithdrawnEvent:
        """Return the event of a queued trial, or of its withdrawal if its weights are missing.

        Raises:
            StartPostponed: the storage is in the way of them, not yet for the last time.
        """
        config = TrainConfig.model_validate(queued.config)
        if queued.weights_of:
            source = f"{self._state.search.search}/{self._state.begun[queued.weights_of]}"
            config = config.model_copy(update={"warm_start": WarmStart(weights=source)})
        try:
            return self._create(
                config,
                origin=queued.origin,
                axes=queued.axes,
                distributions=queued.distributions,
                wish=queued.key,
                log_entry=queued.log_entry or None,
            )
        except UsageError as problem:
            return self.withdraw(queued.key, str(problem))
        except StartPostponed as refused:
            self._postponed[queued.key] += 1
            if self._postponed[queued.key] <= _POSTPONEMENTS:
                raise
            return self.withdraw(queued.key, f"{refused.where}: {os.strerror(refused.number)}")

    def withdraw(self, key: str, reason: str) -> WithdrawnEvent:
        """Return the withdrawal of a queued trial that cannot be started, and log it."""
        log.warning("%s is not tried: %s", key, reason)
        return WithdrawnEvent(key=key, reason=reason)

    def _create(self, config: TrainConfig, **fields: Any) -> TrialEvent:
        try:
            warm = warm_start.resolve(config)
        except OSError as error:
            if error.errno not in storage_health.TROUBLES:
                raise
            where = f"weights to start from cannot be read, {error.filename}"
            raise StartPostponed(error.errno, where) from error
        return TrialEvent(
            trial=f"t{len(self._state.trials) + 1:04d}",
            config=config.model_dump(mode="json"),
            signature=config.signature,
            encoder_parameters=_size(config),
            warm_start=warm,
            **fields,
        )


def _size(config: TrainConfig) -> int | None:
    """Return the encoder's number of weights; None if it cannot be built."""
    try:
        return model_size.count_encoder_weights(config)
    except (ValueError, RuntimeError) as error:
        log.warning("the encoder of %s cannot be built: %s", config.signature, error)
        return None
