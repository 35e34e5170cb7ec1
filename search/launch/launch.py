"""Launch a search, from its name to its summary; launching a name again resumes it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from search.checkpoints import warm_start
from search.cluster.autoscaling import list_checked_nodes
from search.cluster.connection import connect, resolve_address
from search.cluster.preflight import is_local
from search.cluster.slots import decide_needs
from search.core import signals
from search.core.errors import ClusterLostError, EnvironmentSetupError, Interrupted, SignalReceived
from search.core.paths import home, ledger_path
from search.engine.graceful_stop import grace_of_environment
from search.launch import drive, preparation
from search.launch.resources import (
    are_resources_new,
    asked_or_recorded,
    require_asked_resources,
    require_resources,
)
from search.launch.settings import (
    LaunchRequest,
    extensions,
    read_settings,
    surroundings_folders,
)
from search.launch.summary import LaunchOutcome, summarise_outcome
from search.ledger.events import (
    FORMAT,
    DriverEvent,
    PriorEvent,
    QueuedEvent,
    ReplayedNotebook,
    SearchEvent,
)
from search.ledger.ledger import Ledger
from search.ledger.queue import QueuedTrial
from search.ledger.settings import SearchSettings
from search.ledger.state import SearchState
from search.reporting import snapshot
from search.sampler.prior_sources import WarmStart
from search.scheduler.next_job import Done, choose_next_job
from search.scheduler.policy import AshaPolicy
from search.space import loader, trial_walk

if TYPE_CHECKING:
    from search.reporting.terminal import SearchDisplay

log = logging.getLogger(__name__)

_RECORDED_VERSIONS = ("spksearch", "torch", "torchaudio", "ray", "optuna", "mlflow", "numpy")


def launch(request: LaunchRequest, display: "SearchDisplay") -> LaunchOutcome:
    """Start a search, or resume the one of that name.

    Raises:
        UsageError: space, corpus or settings are wrong, or the name is another search's.
        EnvironmentSetupError: cluster, storage or lock is in the way.
        NoUsableTrial: the search ended and no trial is worth anything.
        Interrupted: a signal ended it; everything is saved.
    """
    try:
        with signals.raise_signals():
            return _launch(request, display)
    except SignalReceived as told:
        raise Interrupted(
            f"{told} while the search was prepared; nothing of it has begun, and the same launch "
            "begins anew",
            told.signal_number,
        ) from told


def _launch(request: LaunchRequest, display: "SearchDisplay") -> LaunchOutcome:
    trial_walk.require_end(request.space)
    space = loader.load(request.space)
    branches = loader.branches(space)
    name = request.name or space.name
    before = read_settings(name)
    require_asked_resources(request, before)
    default = preparation.read_default_trial(space, request, before)
    known = preparation.read_prior(name, space, request, before)
    corpus = preparation.open_checked_corpus(request, branches, before, default)
    warm_start.check(request.space, branches)
    if request.dry_run:
        lines = preparation.plan(name, space, request, before, corpus, branches, known, default)
        warnings = preparation.warn_of_dev_pairs(corpus)
        return LaunchOutcome(name, "planned", [*lines, *warnings])
    for line in preparation.warn_of_dev_pairs(corpus):
        display.print_line(line)
    for line in known.format_lines() if known else ():
        display.print_line(line)
    with _looked_at_first(request, before):
        settings = preparation.prepare_settings(
            request, before, space, corpus, display, known.sha256 if known else ""
        )
        for line in preparation.warn_of_late_stages(branches, settings.max_epochs):
            display.print_line(line)
        first = [default] if default else []
        state = run_search(
            name, request, space, settings, before, display, queued=first, known=known
        )
    return summarise_outcome(name, state)


@contextmanager
def _looked_at_first(request: LaunchRequest, before: SearchSettings | None) -> Iterator[None]:
    """Refuse what the cluster cannot run, before anything is packed or written.

    That is a new search, or one that asks for other resources than before.
    """
    is_here = is_local(resolve_address(request.address))
    if is_here or not are_resources_new(request, before):
        yield
        return
    with connect(request.address, insecure=request.insecure) as resources:
        folders = [str(each) for each in surroundings_folders(request, before) if each]
        needs = decide_needs(*asked_or_recorded(request, before), resources.gpus)
        list_checked_nodes(needs, home(), folders)
        yield


def run_search(
    name: str,
    request: LaunchRequest,
    space: loader.Space,
    settings: SearchSettings,
    before: SearchSettings | None,
    display: "SearchDisplay",
    *,
    queued: Sequence[QueuedTrial] = (),
    known: WarmStart | None = None,
    replay: ReplayedNotebook | None = None,
) -> SearchState:
    """Drive a search, new or resumed, until its budgets are used; return its state afterwards.

    Args:
        name: the search's.
        request: for what no ledger holds, such as the cluster's address.
        space: asked for new trials.
        settings: as they are to be from now on.
        before: as they were; None for a new search.
        display: what people see meanwhile.
        queued: trials to be tried; those that the ledger has already are left out.
        known: what it begins with, written down once.
        replay: what a replay is of, recorded with the settings.

    Raises:
        EnvironmentSetupError: somebody else drives it, or has changed it meanwhile.
        Interrupted: a signal ended it; everything is saved.
    """
    grace_seconds = grace_of_environment()
    with Ledger.open(ledger_path(name), write=True, search=name, say=display.print_line) as ledger:
        if read_settings(name) != before:
            raise EnvironmentSetupError(
                f"search {name!r} was begun or changed by somebody else while this launch was "
                "prepared; look with `spksearch status "
                f"{name}`, and launch again: it goes on with what is there"
            )
        _record(ledger, settings, before, replay, space)
        # A point of the warm start that is the default configuration is not tried twice.
        taken = [each.config for each in queued]
        points = [each for each in (known.queued if known else ()) if each.config not in taken]
        _record_queued(ledger, [*queued, *points])
        if known is not None:
            # The last word of a beginning: while it is missing, a launch begins once more.
            prior = known.prior
            ledger.append(PriorEvent(source=prior.source, points=prior.points))
        if has_work(ledger):
            state = ledger.state()
            require_resources(request, settings)
            with _naming_resume_command(state), signals.raise_signals():
                drive.drive_search(ledger, state, space, settings, request, display, grace_seconds)
    return Ledger.open(ledger_path(name)).state()


@contextmanager
def _naming_resume_command(state: SearchState) -> Iterator[None]:
    """Add to an interruption, or the loss of the cluster, the command that resumes the search."""
    again = snapshot.format_resume_command(state.search)
    try:
        yield
    except ClusterLostError as lost:
        raise ClusterLostError(
            f"{lost}; what is recorded is sound, and the same launch goes on from there:\n  {again}"
        ) from lost
    except Interrupted as interrupted:
        raise Interrupted(f"{interrupted}:\n  {again}", interrupted.signal_number) from interrupted
    except SignalReceived as received:
        raise Interrupted(
            f"{received} while nothing was training; everything is saved, and the same launch goes "
            f"on from there:\n  {again}",
            received.signal_number,
        ) from received


def has_work(ledger: Ledger) -> bool:
    """Return whether a new driver would find something to do."""
    state = ledger.state()
    if state.finish is None:
        return True  # if nothing else, the last word is still to be said
    policy = AshaPolicy.from_state(state)
    # What a driver writes first; an earlier driver's orders to stop end with it.
    now = datetime.now(UTC).isoformat()
    state.apply(DriverEvent(time=now, format=FORMAT, host="", pid=0, started=""))
    return not isinstance(choose_next_job(state, policy, state.spent_hours()), Done)


def _record(
    ledger: Ledger,
    settings: SearchSettings,
    before: SearchSettings | None,
    replay: ReplayedNotebook | None,
    space: loader.Space,
) -> None:
    """Record the settings of a new search, or of an extended one."""
    if before is not None and settings == before and ledger.state().search.replay == replay:
        return
    if before is not None:
        for name, (old, new) in extensions(settings, before).items():
            log.info("%s changed from %s to %s", name, old, new)
    origin: dict[str, Any] = {"replay": replay}
    if replay is None:
        origin = {"space_file": loader.user_space_file(space)}
    fields = {name: getattr(settings, name) for name in SearchSettings.model_fields}
    ledger.append(SearchEvent(format=FORMAT, **fields, **origin, versions=_versions()))


def _record_queued(ledger: Ledger, queued: Sequence[QueuedTrial]) -> None:
    """Record the trials to be queued that are neither queued nor begun yet."""
    state = ledger.state()
    for each in queued:
        if each.key not in state.queue and each.key not in state.begun:
            ledger.append(QueuedEvent.from_queued(each))


def _versions() -> dict[str, str]:
    return {package: version(package) for package in _RECORDED_VERSIONS}
