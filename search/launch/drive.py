"""Drive a search: connect to Ray, feed MLflow, show what happens, run it on Tune."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from search.cluster import gpu_memory
from search.cluster.autoscaling import SlotMonitor, list_checked_nodes, run_slot_monitor
from search.cluster.cluster_watch import ClusterWatch, watch_cluster
from search.cluster.connection import Cluster, connect
from search.cluster.local_resources import count_usable_cpus
from search.cluster.slots import Needs, decide_needs, warn_of_unstated_gpus
from search.core.paths import home, search_folder
from search.engine import orphan_processes
from search.launch.cluster_loss import ClusterLossHandler
from search.launch.settings import LaunchRequest
from search.ledger.ledger import Ledger
from search.ledger.settings import SearchSettings
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.reporting import snapshot
from search.scheduler.next_job import count_wanted_trials
from search.scheduler.policy import AshaPolicy
from search.space import loader

if TYPE_CHECKING:
    from search.reporting.terminal import SearchDisplay
    from search.tracking.server import Server
    from search.tracking.sync import Tracker

_DRAIN_SECONDS = 30.0


def drive_search(
    ledger: Ledger,
    state: SearchState,
    space: loader.Space,
    settings: SearchSettings,
    request: LaunchRequest,
    display: "SearchDisplay",
    grace_seconds: float,
) -> None:
    """Connect to Ray, run the search to its end, and deliver to MLflow what it has not had yet."""
    try:
        with (
            _track(ledger, request, display) as tracker,
            _watched_cluster(ledger, state, request, display) as (resources, cluster),
        ):
            # Imported here because Ray reads its environment, the token's place in it, on import.
            from search.engine import tune_runner
            from spkmodel.worker.trainable import SegmentTrainable

            if resources.local:
                orphan_processes.record_head_processes(search_folder(ledger.search))
            for warning in _warnings(state, settings, resources):
                display.print_line(f"warning: {warning}")
            needs = decide_needs(settings.cpus_per_trial, settings.gpus_per_trial, resources.gpus)
            monitor = _slot_monitor(state, settings, needs)
            watched = display.watch(_snapshot_source(ledger, state, tracker))
            slots = nullcontext() if resources.local else run_slot_monitor(monitor)
            with watched, slots:
                tune_runner.run(
                    ledger,
                    state,
                    space,
                    AshaPolicy.from_settings(state.search),
                    SegmentTrainable,
                    _segment_settings(ledger, settings),
                    resources={"cpu": needs.cpus, "gpu": needs.gpus},
                    slots=monitor,
                    seed=settings.seed,
                    storage=search_folder(ledger.search),
                    grace_seconds=grace_seconds,
                    say=display.print_line,
                    watch=cluster,
                )
    finally:
        # Its processes have ended with the connection.
        orphan_processes.forget_head_processes(search_folder(ledger.search))


@contextmanager
def _watched_cluster(
    ledger: Ledger, state: SearchState, request: LaunchRequest, display: "SearchDisplay"
) -> Iterator[tuple[Cluster, ClusterWatch]]:
    """Connect to Ray, and act if it is lost while the context lasts."""
    with connect(request.address, insecure=request.insecure) as resources:
        watch = watch_cluster(resources)
        with watch.running(ClusterLossHandler(ledger, state, watch, display.print_line)):
            yield resources, watch


def _warnings(state: SearchState, settings: SearchSettings, resources: Cluster) -> Iterator[str]:
    if told := gpu_memory.describe_overuse(state):
        yield told
    if resources.local:
        return
    there = (resources.cpus, resources.gpus)
    if told := warn_of_unstated_gpus(settings.cpus_per_trial, settings.gpus_per_trial, *there):
        yield told


def _slot_monitor(state: SearchState, settings: SearchSettings, needs: Needs) -> SlotMonitor:
    folders = [folder for folder in (settings.noise, settings.rooms) if folder]
    return SlotMonitor(
        list_checked_nodes(needs, home(), folders),
        needs,
        home(),
        folders=folders,
        # Asked of the state, which `budget` may change while the search runs.
        most=lambda: state.search.concurrent,
        wanted=lambda: count_wanted_trials(state, AshaPolicy.from_state(state)),
    )


def _snapshot_source(
    ledger: Ledger, state: SearchState, tracker: "Tracker"
) -> Callable[[], snapshot.Snapshot]:
    """Return what the live view asks for the newest snapshot."""
    started, sessions = time.time(), len(state.sessions)

    def take() -> snapshot.Snapshot:
        status = "starting" if len(state.sessions) == sessions else None
        now = snapshot.take_snapshot(
            state, _describe_health(tracker), tracker.address(), started, status=status
        )
        if ledger.storage_error is None:
            return now
        # This hold cannot be recorded: the ledger is what cannot be written.
        waits = f"the ledger cannot be written ({ledger.storage_error.strerror}); all wait for it"
        return replace(now, holds={**now.holds, "storage": waits})

    return take


def _segment_settings(
    ledger: Ledger, settings: SearchSettings
) -> Callable[[TrialRecord, int, int], dict[str, Any]]:
    """Return what makes the config of an actor from (trial, attempt, to_rung)."""
    from spkmodel.worker.trainable import Segment, segment_config

    folder = search_folder(ledger.search)
    threads = max(1, int(settings.cpus_per_trial))

    def make(trial: TrialRecord, attempt: int, to_rung: int) -> dict[str, Any]:
        last, warm = trial.resume_point, trial.warm_start
        return segment_config(
            Segment(
                trial=trial.trial,
                attempt=attempt,
                config=trial.config,
                to_epoch=to_rung,
                resume=str(folder / last.checkpoint) if last else "",
                resume_sha256=last.sha256 if last else "",
                warm_start=warm.checkpoint if warm else "",
                warm_start_sha256=warm.sha256 if warm else "",
                folder=str(folder / "trials" / trial.trial),
                store=settings.store,
                dev_store=settings.dev_store,
                store_sha256=settings.store_sha256,
                noise=settings.noise,
                rooms=settings.rooms,
                threads=min(threads, count_usable_cpus()),
                device="auto",
            )
        )

    return make


@contextmanager
def _track(ledger: Ledger, request: LaunchRequest, display: "SearchDisplay") -> Iterator["Tracker"]:
    """Feed MLflow from the ledger while the context lasts; from a server of our own by default.

    Whatever happens to MLflow, the search goes on; what it could not take is told at the end.
    """
    from search.tracking import server as mlflow_server
    from search.tracking.sync import Tracker

    uri = request.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    server = None if uri else mlflow_server.start()
    tracker = Tracker(ledger.path, uri or _uri(server), server.revive if server else None).start()
    try:
        yield tracker
        with display.task("delivering to MLflow", "events"):
            complete = tracker.drain(_DRAIN_SECONDS)
        if not complete:
            health = tracker.health()
            display.print_line(
                f"MLflow could not take {health.queued} events ({health.error or 'too slow'}); "
                f"they are in the ledger, and `spksearch ui {ledger.search}` delivers them"
            )
    finally:
        tracker.close()
        if server is not None:
            server.stop()


def _uri(server: "Server | None") -> str:
    assert server is not None
    return server.uri


def _describe_health(tracker: "Tracker") -> str:
    health = tracker.health()
    if health.ok:
        return "up to date" if health.queued < 20 else f"{health.queued} events behind"
    return f"away, {health.queued} events wait; the search goes on"
