"""Read what a search leaves behind: its ledger, its folder, its runs in MLflow."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from search.ledger.events import Event, ReportEvent, TrialEvent
from search.ledger.kinds import OBJECTIVE
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.space.branches import Space
from search.tracking.projection import CURSOR

CheckpointEer = Callable[[Path, str], float]
"""From a checkpoint's folder and its recorded hash to the dev EER that it has."""


@dataclass(frozen=True)
class Run:
    """One run of a trial in MLflow."""

    trial: str
    run_id: str
    status: str
    tags: Mapping[str, str]
    history: Mapping[str, list[tuple[int, float]]]
    """By metric: every stored point as (step, value), sorted."""


@dataclass(frozen=True)
class Evidence:
    """Everything that the invariants are checked against."""

    events: list[Event]
    folder: Path
    """The search's own."""
    runs: list[Run] | None = None
    """None: no MLflow was looked at."""
    checkpoint_eer: CheckpointEer | None = None
    space: Space | None = None
    """None: what the sampler suggests is not asked again."""
    processes: list[str] = field(default_factory=list)
    """What runs of it after its end, as `pid command`."""

    @cached_property
    def state(self) -> SearchState:
        """The state that the events add up to."""
        return SearchState.from_events(self.events)


def read(
    folder: Path,
    uri: str | None = None,
    checkpoint_eer: CheckpointEer | None = None,
    space: Space | None = None,
    processes: list[str] | None = None,
) -> Evidence:
    """Return the evidence of the search in `folder`.

    Raises:
        LedgerDamaged: if its ledger cannot be read.
    """
    events = list(Ledger.open(folder / "ledger.jsonl").events())
    runs = None if uri is None else runs_of(uri, folder.name)
    return Evidence(events, folder, runs, checkpoint_eer, space, processes or [])


def runs_of(
    uri: str, search: str, metrics: tuple[str, ...] = (OBJECTIVE, "train_loss")
) -> list[Run]:
    """Return every live run of a trial of this search, with the full history of some metrics."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    wanted = f"tags.kind = 'trial' and tags.search = '{search}'"
    found, token = [], None
    while token != "":
        page = client.search_runs(experiments, wanted, max_results=1000, page_token=token)
        found += list(page)
        token = page.token or ""
    return [
        Run(
            run.data.tags["trial"],
            run.info.run_id,
            run.info.status,
            run.data.tags,
            {metric: _points(client, run.info.run_id, metric) for metric in metrics},
        )
        for run in found
    ]


def received(uri: str, search: str) -> int:
    """Return how many of a search's events MLflow has received; 0 for an unknown search."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    wanted = f"tags.kind = 'search' and tags.search = '{search}'"
    found = client.search_runs(experiments, wanted)
    return max((int(run.data.tags.get(CURSOR, "0")) for run in found), default=0)


def _points(client: Any, run_id: str, metric: str) -> list[tuple[int, float]]:
    points = client.get_metric_history(run_id, metric)
    return sorted((point.step, point.value) for point in points)


def recorded(events: list[Event], metric: str) -> dict[str, list[tuple[int, float]]]:
    """Return by trial the first reported value of each epoch, which is what MLflow keeps."""
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for event in events:
        if isinstance(event, TrialEvent):
            values[event.trial] = {}
        elif isinstance(event, ReportEvent) and metric in event.metrics:
            values[event.trial].setdefault(event.epoch, event.metrics[metric])
    return {trial: sorted(each.items()) for trial, each in values.items()}
