"""Build the request of `add`: an entry of a notebook or a changed trial, checked by the corpus."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.core.errors import UsageError
from search.core.paths import home
from search.core.validation_messages import describe_validation_error
from search.data import location
from search.launch.open_search import find_trial
from search.ledger.state import SearchState
from search.notebook.notebooks import load_notebook
from search.requests.messages import Add, who
from spaces.logged import Entry, delta
from spaces.logged.scale import Scale, adapt_schedules, scale_config
from spkmodel.config import TrainConfig, WarmStart

if TYPE_CHECKING:
    from spkmodel.data.store import Store

_LONGEST_ORIGIN = 300


def build_entry_request(
    state: SearchState,
    number: str,
    *,
    file: Path | None = None,
    scale: Scale,
    changes: Mapping[str, Any],
) -> Add:
    """Return the request to try an entry of the log, or of the user's notebook, in a search.

    Raises:
        NotebookError: there is no such entry, or it cannot be scaled.
        NotFound: there is no such notebook.
        UsageError: a change is wrong, it does not fit the corpus, or what it starts from is not
            there.
    """
    entry = load_notebook(file).entry(number)
    config = scale_config(entry.config, scale)
    store = _open_store(state)
    if not scale.is_full:
        config = adapt_schedules(config, _count_steps(state, config, store))
    # As for the sampler's trials: within a search, trials differ by their configs, not by seeds.
    config = config.model_copy(
        update={"seed": state.search.seed, "warm_start": _warm_start(state, entry)}
    )
    name = ", ".join(filter(None, (f"entry {entry.number}", scale.description)))
    axes: dict[str, Any] = {"entry": entry.number}
    axes |= {} if scale.is_full else {"scale": scale.text}
    # A changed entry is no longer the log's, and must not be found by its number.
    log_entry = "" if changes else entry.number
    return _build_request(config, changes, store, name=name, log_entry=log_entry, axes=axes)


def build_trial_request(state: SearchState, trial: str, *, changes: Mapping[str, Any]) -> Add:
    """Return the request to try a trial of the search again, with changes.

    Raises:
        NotFound: there is no such trial.
        UsageError: a change is wrong, or it does not fit the corpus.
    """
    record = find_trial(state.search.search, state, trial)
    if not changes:
        raise UsageError(
            f"{trial} has been tried; say what is to be different: --set "
            "optimiser.learning_rate=0.002, or --set seed=1"
        )
    config = TrainConfig.model_validate(record.config)
    axes = {"trial": trial, **changes}
    # A trial without distributions is no point of the space, so its axes answer no question of it.
    near = record.axes if record.distributions else {}
    return _build_request(config, changes, _open_store(state), name=trial, axes=axes, near=near)


def parse_changes(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the changes of `path=value` assignments; a value is JSON if it parses, else text.

    Raises:
        UsageError: an assignment has no `=`.
    """
    changes = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise UsageError(
                f"--set takes PATH=VALUE, such as optimiser.learning_rate=0.002, got {text!r}"
            )
        try:
            changes[path.strip()] = json.loads(value)
        except ValueError:
            changes[path.strip()] = value
    return changes


def _build_request(
    config: TrainConfig,
    changes: Mapping[str, Any],
    store: "Store | None",
    *,
    name: str,
    **more: Any,
) -> Add:
    if changes:
        config = _apply_changes(config, changes)
        shown = ", ".join(f"{path}={_shorten(value)}" for path, value in changes.items())
        name = f"{name} with {shown}"
    if store is not None:
        _check_corpus(config, store, name)
    origin = name[:_LONGEST_ORIGIN]
    return Add(by=who(), config=config.model_dump(mode="json"), origin=f"added: {origin}", **more)


def _apply_changes(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    from pydantic import ValidationError

    try:
        return TrainConfig.model_validate(
            delta.apply_delta(config.model_dump(mode="json"), dict(changes))
        )
    except ValidationError as error:
        raise UsageError(f"--set: {describe_validation_error(error)}") from error
    except ValueError as error:
        raise UsageError(f"--set {error}") from error


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _warm_start(state: SearchState, entry: Entry) -> WarmStart | None:
    if entry.warm_start is None:
        return entry.config.warm_start
    for record in state.trials.values():
        if record.log_entry == entry.warm_start and record.state == "complete":
            return WarmStart(weights=f"{state.search.search}/{record.trial}")
    raise UsageError(
        f"entry {entry.number} starts from the weights of entry {entry.warm_start}, of which this "
        f"search has no complete trial; add that one first: --entry {entry.warm_start}"
    )


# --- the corpus ------------------------------------------------------------------------------


def _open_store(state: SearchState) -> "Store | None":
    """Return the packed corpus, or None if this machine lacks it: then the trial checks."""
    from spkmodel.data.store import Store, StoreError

    recorded = location.find_store_folder(state.search)
    for folder in (recorded, home() / "corpora" / recorded.name):
        try:
            return Store.open(folder)
        except StoreError:
            continue
    return None


def _check_corpus(config: TrainConfig, store: "Store", name: str) -> None:
    from spkmodel.training.epoch_plan import batches_in_epoch

    counts = store.utterances_of_speakers
    try:
        config.check_corpus(counts, store.longest_seconds)
        config.check_epoch(batches_in_epoch(counts, config.batches))
    except ValueError as error:
        raise UsageError(f"{name} does not fit the search's corpus: {error}") from error


def _count_steps(state: SearchState, config: TrainConfig, store: "Store | None") -> int:
    """Return the optimiser steps of a whole training."""
    from spkmodel.training.epoch_plan import batches_in_epoch

    if store is None:
        raise UsageError(
            f"--scale needs the packed corpus, and {state.search.store} is not on this machine; "
            "add the entry where the search runs"
        )
    batches = batches_in_epoch(store.utterances_of_speakers, config.batches)
    return max(1, math.ceil(batches / config.batches_per_step)) * int(state.search.max_epochs)
