"""Bring MLflow to the state of the projection: every point once, one run for each trial.

Each run carries how many ledger events it has received, set in the same request as the points of
these events and after them. A repeated request changes nothing: MLflow stores a point of the same
key, step, time and value once. Errors are the caller's to handle: `deliver` again, as often as
needed, at any time.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.core.redact import redact
from search.tracking import experiment_note, ui_view
from search.tracking.projection import (
    CURSOR,
    PASSING,
    SEARCH,
    Point,
    ProjectedRun,
    RunProjection,
)
from search.tracking.rest_client import RunCalls, Words

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

log = logging.getLogger(__name__)

_MOST_POINTS = 900
_MOST_TAGS = 90
"""A request may carry 1000 metrics, 100 params and 100 tags."""
_PAGE = 1000
_LONGEST_PARAM = 6000


@dataclass
class _Delivered:
    """What MLflow is known to have of one run."""

    run_id: str
    points: int = 0
    params: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"


class Uploader:
    """The runs of one search at the MLflow server."""

    def __init__(self, client: "MlflowClient", calls: RunCalls, mirror: RunProjection) -> None:
        """Take two clients of one server: `calls` for the requests of which there are thousands."""
        self._client = client
        self._calls = calls
        self._mirror = mirror
        self._known: dict[str, _Delivered] = {}
        self._ever: set[str] = set()
        self._attached = False
        self._warned: set[str] = set()
        self._decorations: dict[str, str] = {}
        self._shared_tags: dict[str, str] = {}
        """The experiment's, as they were when it was found: other searches have theirs there."""
        self.experiment_id = ""

    def close(self) -> None:
        """End the connections: nothing more is delivered."""
        self._calls.close()

    def invalidate(self) -> None:
        """Forget what the server has: after an error it is read again before sending."""
        self._attached = False

    def deliver(self, keys: set[str], received: Callable[[str], None] = lambda _: None) -> None:
        """Send what MLflow lacks of these runs, then of the parent, which counts all events.

        Args:
            keys: of the runs.
            received: hears of each run once MLflow has all of it.

        Raises:
            MlflowException: if the server does not answer, or refuses.
        """
        if not self._attached:
            keys |= self._attach()
        order = sorted(keys - {SEARCH})
        if order and SEARCH not in self._known:
            self._push(SEARCH, whole=False)
        for key in order:
            self._push(key)
            received(key)
        self._push(SEARCH)
        received(SEARCH)

    def runs(self) -> dict[str, str]:
        """Return whose run each run id is: trials' names, and `SEARCH`."""
        return {there.run_id: key for key, there in self._known.items()}

    def update_ui_tags(self) -> None:
        """Send the experiment's note and shared view; what the server refuses is left out."""
        from mlflow.exceptions import MlflowException, RestException

        for key, value in self._decoration().items():
            if self._decorations.get(key) == value:
                continue
            try:
                self._client.set_experiment_tag(self.experiment_id, key, value)
            except RestException as problem:
                self._warn(key, f"MLflow refuses the experiment tag {key}: {redact(str(problem))}")
            except MlflowException:
                return  # an outage: the next delivery meets it too, and tells
            self._decorations[key] = value

    def _decoration(self) -> dict[str, str]:
        axes = [trial.axes for trial in self._mirror.state.trials.values()]
        name = self._mirror.name
        return {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": "best_dev_eer",
            "mlflow.experiment.primaryMetric.greaterIsBetter": "false",
            experiment_note.RESULT_TAG + name: experiment_note.format_result(self._mirror),
            "mlflow.note.content": experiment_note.format_note(self._mirror, self._shared_tags),
            **({ui_view.tag_of(name): ui_view.view(name, axes)} if axes else {}),
        }

    # --- what is there ------------------------------------------------------------------------

    def _attach(self) -> set[str]:
        """Find the experiment and its runs; return all keys, since any may lack something."""
        experiment = self._experiment()
        self.experiment_id, self._shared_tags = experiment.experiment_id, dict(experiment.tags)
        found: dict[str, _Delivered] = {}
        for key, runs in self._runs_by_key().items():
            found[key] = self._as_delivered(runs[0], self._mirror.runs[key])
            for double in runs[1:]:
                self._warn(key, f"MLflow had two runs of {key}; the one with less is deleted")
                self._client.delete_run(double.info.run_id)
        for key in sorted(self._ever - found.keys()):
            self._warn(key, f"the MLflow run of {key} was deleted; it is made again")
        self._known = found
        self._ever |= found.keys()
        self._decorations = {}
        self._attached = True
        return set(self._mirror.runs)

    def _experiment(self) -> "Experiment":
        name = self._mirror.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            experiment = self._client.get_experiment(self._client.create_experiment(name))
        elif experiment.lifecycle_stage == "deleted":
            self._warn(name, f"the MLflow experiment {name} was deleted; it is restored")
            self._client.restore_experiment(experiment.experiment_id)
        return experiment

    def _runs_by_key(self) -> dict[str, list["Run"]]:
        """Return this search's live runs; of two of one trial, the fuller one comes first."""
        mine = (
            f"tags.`search` = '{self._mirror.name}' and tags.`started` = '{self._mirror.started}'"
        )
        runs: dict[str, list[Run]] = {}
        token: str | None = None
        while token != "":
            page = self._client.search_runs(
                [self.experiment_id], mine, max_results=_PAGE, page_token=token
            )
            for run in page:
                key = run.data.tags.get("trial", SEARCH)
                if key in self._mirror.runs:
                    runs.setdefault(key, []).append(run)
            token = page.token or ""
        for same in runs.values():
            same.sort(key=lambda run: (-_received(run), run.info.start_time, run.info.run_id))
        return runs

    @staticmethod
    def _as_delivered(run: "Run", wanted: ProjectedRun) -> _Delivered:
        return _Delivered(
            run.info.run_id,
            points=sum(point.event < _received(run) for point in wanted.points),
            params=set(run.data.params),
            tags=dict(run.data.tags),
            status=run.info.status,
        )

    # --- what is sent -------------------------------------------------------------------------

    def _push(self, key: str, *, whole: bool = True) -> None:
        """Create the run if it is missing; if `whole`, send what it lacks too."""
        wanted = self._mirror.runs[key]
        if key not in self._known:
            self._known[key] = self._create(key, wanted)
            self._ever.add(key)
        if not whole:
            return
        there = self._known[key]
        if wanted.status == "RUNNING" and there.status != "RUNNING":
            self._calls.update(there.run_id, "RUNNING", None)
            there.status = "RUNNING"
        self._send(key, there, wanted)
        if there.status != wanted.status:
            self._calls.update(there.run_id, wanted.status, wanted.ended_ms)
            there.status = wanted.status

    def _create(self, key: str, wanted: ProjectedRun) -> _Delivered:
        # The tags that find it again go with the request that makes it: if the answer is lost, the
        # run is found and not made twice. The cursor does not: nothing was received yet.
        tags = self._tags(key, wanted)
        del tags[CURSOR]
        run_id = self._calls.create(
            self.experiment_id, wanted.name, wanted.started_ms, list(tags.items())
        )
        return _Delivered(run_id, tags=dict(tags))

    def _tags(self, key: str, wanted: ProjectedRun) -> dict[str, str]:
        if key == SEARCH:
            return wanted.tags | {CURSOR: str(self._mirror.events)}
        return wanted.tags | {"mlflow.parentRunId": self._known[SEARCH].run_id}

    def _send(self, key: str, there: _Delivered, wanted: ProjectedRun) -> None:
        tags = {
            name: value
            for name, value in self._tags(key, wanted).items()
            if there.tags.get(name) != value
        }
        cursor = {CURSOR: tags.pop(CURSOR)} if CURSOR in tags else {}
        points = wanted.points[there.points :]
        params = [name for name in wanted.params if name not in there.params]
        words = list(tags.items())
        while len(points) > _MOST_POINTS or len(words) > _MOST_TAGS or len(params) > _MOST_TAGS:
            self._batch(key, points[:_MOST_POINTS], params[:_MOST_TAGS], words[:_MOST_TAGS])
            del points[:_MOST_POINTS], params[:_MOST_TAGS], words[:_MOST_TAGS]
        if points or params or words or cursor:
            self._batch(key, points, params, [*words, *cursor.items()])
        there.points, there.params = len(wanted.points), set(wanted.params)
        there.tags |= tags | cursor
        for name in PASSING & there.tags.keys() - wanted.tags.keys():
            self._client.delete_tag(there.run_id, name)
            del there.tags[name]

    def _batch(self, key: str, points: Sequence[Point], params: Sequence[str], tags: Words) -> None:
        wanted = self._mirror.runs[key]
        settings = [(name, wanted.params[name][:_LONGEST_PARAM]) for name in params]
        if self._try_send(key, points, settings, tags):
            # One bad value must not hold up all that comes after it.
            for point in points:
                self._single(key, [point], (), ())
            for setting in settings:
                self._single(key, (), [setting], ())
            for word in tags:
                self._single(key, (), (), [word])

    def _single(self, key: str, points: Sequence[Point], params: Words, tags: Words) -> None:
        if words := self._try_send(key, points, params, tags):
            self._warn(words, f"MLflow refuses a value of {key}, which goes without it: {words}")

    def _try_send(self, key: str, points: Sequence[Point], params: Words, tags: Words) -> str:
        """Send a batch; return the server's message if it refuses the contents, else empty."""
        from mlflow.exceptions import MlflowException

        run_id = self._known[key].run_id
        try:
            self._calls.add(run_id, points, params, tags)
        except MlflowException as problem:
            if problem.error_code != "INVALID_PARAMETER_VALUE" or not self._is_active(run_id):
                raise
            return redact(str(problem)) or "it does not say why"
        return ""

    def _is_active(self, run_id: str) -> bool:
        return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")

    def _warn(self, about: str, words: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            log.warning("%s", words)


def _received(run: "Run") -> int:
    """Return how many of the ledger's events a run has received."""
    return int(run.data.tags.get(CURSOR, "0"))
