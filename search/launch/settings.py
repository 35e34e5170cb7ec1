"""Decide what a search is launched with: asked for now, kept from before, or the default."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.cluster.slots import check_shares
from search.core.errors import UsageError
from search.core.paths import ledger_path
from search.core.redact import redact
from search.data.location import format_location
from search.data.noise_and_rooms import find_recordings
from search.launch.rungs import decide_rungs
from search.ledger.kinds import OBJECTIVE, SIZE, Strategy
from search.ledger.ledger import Ledger
from search.ledger.settings import DEFAULT_KEEP, SearchSettings
from search.sampler.prior import default_count
from spkmodel.core.condition_names import Condition

ETA = 3
DEFAULT_TRIALS = 24
DEFAULT_MAX_EPOCHS = 9
DEFAULT_CPUS = 1.0
"""Of a trial."""

OBJECTIVES = (OBJECTIVE, SIZE)
"""What a search may want low; the first of them always."""


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What the user asked for; None: what the search had before, or the default."""

    space: str
    corpus: Path | str
    """A folder, or a URI where `corpus pack --to` has put it."""
    name: str | None = None
    trials: int | None = None
    hours: float | None = None
    max_failed: int | None = None
    keep_checkpoints: int | None = None
    disk_gb: float | None = None
    max_epochs: int | None = None
    eta: int | None = None
    rungs: tuple[int, ...] | None = None
    """Epochs at which trials are compared; the last is the epochs of one trial."""
    finalists: int | None = None
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    address: str | None = None
    insecure: bool = False
    """Whether a cluster will do that asks for no token and that others can reach."""
    tracking_uri: str | None = None
    seed: int | None = None
    dev_condition: Condition | None = None
    rule: str | None = None
    objectives: tuple[str, ...] | None = None
    warm_start: str | None = None
    warm_start_trials: int | None = None
    strategy: Strategy | None = None
    default_trial: bool | None = None
    """Whether the default configuration is the first trial of a new search; by default it is."""
    noise: Path | None = None
    rooms: Path | None = None
    allow_overlap: bool = False
    dry_run: bool = False


_IDENTITY = {
    "space": "the space",
    "space_sha256": "the space's source (its file has changed)",
    "corpus_sha256": "the corpus",
    "seed": "--seed",
    "dev_condition": "--dev-condition",
    "surroundings": "the ambiences and rooms (--noise, --rooms)",
    "rule": "--rule",
    "eta": "--eta",
    "objectives": "--objectives",
    "warm_start": "--warm-start",
    "warm_start_trials": "--warm-start-trials",
    "strategy": "--strategy",
    "default_trial": "--default-trial",
}
"""What makes a search the search it is; what else differs extends it."""

_DEFAULT_BUDGETS: dict[str, Any] = {
    "trials": DEFAULT_TRIALS,
    "hours": None,
    "max_failed": None,
    "keep_checkpoints": DEFAULT_KEEP,
    "disk_gb": None,
    "finalists": 1,
    "concurrent": None,
    "cpus_per_trial": DEFAULT_CPUS,
    "gpus_per_trial": None,
}
"""What a later launch may change, and what it is where nobody says."""

_EXTENSIBLE = (*_DEFAULT_BUDGETS, "max_epochs")


def surroundings_folders(
    request: LaunchRequest, before: SearchSettings | None
) -> tuple[Path | None, Path | None]:
    """Return the folders of ambiences and rooms: as asked, as before, or as found.

    Raises:
        UsageError: if one that was named is not a folder.
    """
    return (
        _kept_or_found(request.noise, before.noise if before else None, "noise", request.corpus),
        _kept_or_found(request.rooms, before.rooms if before else None, "rooms", request.corpus),
    )


def _kept_or_found(
    asked: Path | None, before: str | None, kind: str, corpus: Path | str
) -> Path | None:
    """Return a folder; `before` is None without an earlier launch, empty for the built-in ones."""
    if asked is None and before == "":
        return None
    return find_recordings(asked or (Path(before) if before else None), kind, corpus)


def dev_condition(request: LaunchRequest, before: SearchSettings | None) -> Condition:
    """Return the condition of the dev pairs: as asked, as before, or clean."""
    if request.dev_condition is not None:
        return request.dev_condition
    return before.dev_condition if before else "clean"


def decide(
    request: LaunchRequest,
    before: SearchSettings | None,
    *,
    space_name: str,
    space_sha256: str,
    corpus_sha256: str,
    store: Path | str,
    dev_store: Path | str,
    noise_rooms_fingerprint: str,
    warm_start_sha256: str = "",
    store_sha256: str = "",
) -> SearchSettings:
    """Merge what is asked with what was; arguments after the star are facts found by the caller.

    Raises:
        UsageError: if an earlier search of this name is another search, naming each difference,
            or if a number is out of range.
    """
    noise, rooms = surroundings_folders(request, before)
    eta = _first(request.eta, before and before.eta, ETA)
    rungs = decide_rungs(request.rungs, request.max_epochs, eta, before, DEFAULT_MAX_EPOCHS)
    settings = SearchSettings(
        space=space_name,
        space_sha256=space_sha256,
        corpus=format_location(request.corpus),
        corpus_sha256=corpus_sha256,
        store=str(store),
        dev_store=str(dev_store),
        seed=_first(request.seed, before and before.seed, 0),
        dev_condition=dev_condition(request, before),
        noise=str(noise or ""),
        rooms=str(rooms or ""),
        surroundings=noise_rooms_fingerprint,
        rule=_first(request.rule, before and before.rule, "promotion"),
        eta=eta,
        rungs=rungs,
        max_epochs=rungs[-1],
        **_budgets(request, before),
        tracking_uri=redact(
            request.tracking_uri
            or os.environ.get("MLFLOW_TRACKING_URI")
            or (before.tracking_uri if before else "")
        ),
        objectives=_first(request.objectives, before and before.objectives, (OBJECTIVE,)),
        warm_start=_first(request.warm_start, before and before.warm_start, ""),
        warm_start_trials=warm_start_trials(request, before),
        # A source that has grown since is not read again.
        warm_start_sha256=before.warm_start_sha256 if before else warm_start_sha256,
        store_sha256=store_sha256,
        strategy=_first(request.strategy, before and before.strategy, "tpe"),
        default_trial=_first(request.default_trial, before and before.default_trial, True),
    )
    _check_ranges(settings)
    if before is not None:
        _check_same(request.name or space_name, settings, before)
    return settings


def _budgets(request: LaunchRequest, before: SearchSettings | None) -> dict[str, Any]:
    """Return the settings that a launch may extend, by name; the epochs are not among them."""
    return {
        name: _first(getattr(request, name), before and getattr(before, name), default)
        for name, default in _DEFAULT_BUDGETS.items()
    }


def warm_start_trials(request: LaunchRequest, before: SearchSettings | None) -> int:
    """Return how many points of the warm start's source are tried first.

    Raises:
        UsageError: if a number is asked for, and there is no source.
    """
    asked = request.warm_start_trials
    if before is not None:
        return before.warm_start_trials if asked is None else asked
    if request.warm_start is not None:
        return default_count(request.trials or DEFAULT_TRIALS) if asked is None else asked
    if asked is not None:
        raise UsageError(
            "--warm-start-trials is how many points of --warm-start are tried first; name its "
            "source too: --warm-start logged, or an earlier search"
        )
    return 0


def objectives(text: str) -> tuple[str, ...]:
    """Return the objectives that `--objectives` names.

    Raises:
        UsageError: naming what there is.
    """
    names = tuple(name.strip() for name in text.split(","))
    if names not in (OBJECTIVES[:1], OBJECTIVES):
        raise UsageError(
            f"--objectives takes {OBJECTIVE}, or {','.join(OBJECTIVES)} for both to be low, got "
            f"{text!r}"
        )
    return names


def extensions(settings: SearchSettings, before: SearchSettings) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ from before and may: name to (before, now)."""
    return {
        name: (getattr(before, name), getattr(settings, name))
        for name in _EXTENSIBLE
        if getattr(before, name) != getattr(settings, name)
    }


def _first(*choices: Any) -> Any:
    """Return the first value that is not None; None if all are."""
    return next((choice for choice in choices if choice is not None), None)


def _check_ranges(settings: SearchSettings) -> None:
    least = {"trials": 1, "max_failed": 0, "finalists": 1, "concurrent": 1}
    least |= {"keep_checkpoints": 1}
    for name, smallest in least.items():
        value = getattr(settings, name)
        if value is not None and value < smallest:
            raise UsageError(f"--{name.replace('_', '-')} must be at least {smallest}, got {value}")
    if settings.hours is not None and settings.hours <= 0:
        raise UsageError(f"--hours must be positive, got {settings.hours}")
    if settings.disk_gb is not None and settings.disk_gb <= 0:
        raise UsageError(f"--disk-gb must be positive, got {settings.disk_gb}")
    check_shares(settings.cpus_per_trial, settings.gpus_per_trial)
    if settings.warm_start_trials < 0:
        raise UsageError(
            f"--warm-start-trials must not be negative, got {settings.warm_start_trials}"
        )


def read_settings(name: str) -> SearchSettings | None:
    """Return the settings that a search was last launched with; None if there is no such search."""
    path = ledger_path(name)
    event = Ledger.open(path).state().settings if path.is_file() else None
    return None if event is None else event.settings


def _check_same(name: str, settings: SearchSettings, before: SearchSettings) -> None:
    differences = [
        f"{words}: {_short(getattr(before, name))} before, {_short(getattr(settings, name))} now"
        for name, words in _IDENTITY.items()
        if getattr(before, name) != getattr(settings, name)
    ]
    if differences:
        raise UsageError(
            f"search {name} already exists with different settings: {'; '.join(differences)}. "
            "Launch under another --name, or with what it had before"
        )


def _short(value: object) -> str:
    text = ",".join(value) if isinstance(value, tuple) else str(value) or "none"
    return text if len(text) <= 24 else f"{text[:12]}..."
