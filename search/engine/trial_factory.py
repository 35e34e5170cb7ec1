"""Create trials from the sampler or the queue, and record them before training."""

import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from search.checkpoints import storage_health, warm_start
from search.core.errors import UsageError
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.sampler import sampler
from search.sampler.history import SamplerHistory
from search.scheduler.policy import AshaPolicy
from search.space import model_size
from search.space.branches import Space
from spkmodel.config import TrainConfig, WarmStart

log = logging.getLogger(__name__)

_PUT_OFF = 5
"""Times that a wish is tried again whose weights the storage refuses: a minute or two."""


class NotNow(Exception):
    """A storage is in the way of a trial that has not begun."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(where)
        self.number = number
        """Of the operating system's error."""
        self.where = where


class TrialFactory:
    """One search's, for as long as its driver lives."""

    def __init__(
        self,
        state: SearchState,
        space: Space,
        seed: int,
        kind: sampler.Kind,
        known: SamplerHistory,
        record: Callable[..., None],
    ) -> None:
        """Nothing begins yet.

        Args:
            state: kept up to date by `record`.
            space: asked for ideas.
            seed: of the sampler.
            kind: of sampler.
            known: what the sampler goes by; follows `state`.
            record: writes an event to the ledger and takes it into account.
        """
        self._state = state
        self._space = space
        self._seed = seed
        self._kind = kind
        self._known = known
        self._record = record
        self._put_off: Counter[str] = Counter()
        """By key of a wish: how often a storage was in the way of its weights."""

    def of_sampler(self, policy: AshaPolicy) -> str | None:
        """A trial of the sampler's idea, by its name; None if it has none that was not tried.

        Raises:
            UsageError: if the weights that the space starts from are not there, or do not fit.
            NotNow: if a storage is in the way of them.
        """
        idea = sampler.suggest(
            self._space, self._state, policy, self._seed, self._kind, self._known
        )
        if idea is None:
            return None
        return self._begin(
            idea.config, origin=idea.origin, axes=idea.axes, distributions=idea.distributions
        )

    def of_wish(self, wish: QueuedTrial) -> str | None:
        """The trial of a wish; None if its weights cannot be had, which withdraws it.

        Raises:
            NotNow: if a storage is in the way of them, not yet for the last time.
        """
        config = TrainConfig.model_validate(wish.config)
        if wish.weights_of:
            source = f"{self._state.search['search']}/{self._state.begun[wish.weights_of]}"
            config = config.model_copy(update={"warm_start": WarmStart(weights=source)})
        try:
            return self._begin(
                config,
                origin=wish.origin,
                axes=wish.axes,
                distributions=wish.distributions,
                wish=wish.key,
                log_entry=wish.log_entry or None,
            )
        except UsageError as problem:
            self.withdraw(wish.key, str(problem))
            return None
        except NotNow as away:
            self._put_off[wish.key] += 1
            if self._put_off[wish.key] <= _PUT_OFF:
                raise
            self.withdraw(wish.key, f"{away.where}: {os.strerror(away.number)}")
            return None

    def withdraw(self, key: str, reason: str) -> None:
        """A wish cannot be fulfilled."""
        log.warning("%s is not tried: %s", key, reason)
        self._record("withdrawn", key=key, reason=reason)

    def _begin(self, config: TrainConfig, origin: str, **fields: Any) -> str:
        try:
            warm = warm_start.resolve(config)
        except OSError as error:
            if error.errno not in storage_health.TROUBLES:
                raise
            where = f"weights to start from cannot be read, {error.filename}"
            raise NotNow(error.errno, where) from error
        name = f"t{len(self._state.trials) + 1:04d}"
        self._record(
            "trial",
            trial=name,
            config=config.model_dump(mode="json"),
            signature=config.signature,
            origin=origin,
            encoder_parameters=_size(config),
            warm_start=None if warm is None else warm.event(),
            **fields,
        )
        return name


def _size(config: TrainConfig) -> int | None:
    """Weights of the encoder; None if it cannot be built, which its trial will say."""
    try:
        return model_size.count_encoder_weights(config)
    except (ValueError, RuntimeError) as error:
        log.warning("the encoder of %s cannot be built: %s", config.signature, error)
        return None
