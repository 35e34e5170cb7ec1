"""Read requests to stop from tags `stop` that a user sets on a run in the MLflow page.

Whoever can write to the server can set tags. So they are read only where the server lets in nobody
without a credential: our own, and one of the user's that refuses a request without one. A database
that is reached without a server has its own login or file mode. And nothing of a tag is believed
but that it is there: the run must be one that this search has made, and who asks is "the MLflow
page".
"""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from search.core.lease import find_live_driver
from search.core.redact import redact
from search.requests import mailbox
from search.requests.mailbox import identity
from search.requests.messages import Stop
from search.tracking.projection import SEARCH
from search.tracking.server_access import require_proof

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

POLL_SECONDS = 4.0
TAG = "stop"
TAKEN = "stop_taken"
"""What the tag becomes once it has been heard; set again, it is obeyed again."""

_BY = "the MLflow page"
_NO = ("", "false", "no", "0")
_MOST_RUNS = 100
_ANSWER_SECONDS = 10.0


def is_guarded(uri: str) -> bool:
    """Return whether a tracking server refuses a request that shows no credential.

    Raises:
        OSError: if it does not answer.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return True
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    asked = f"{bare}/api/2.0/mlflow/experiments/get?experiment_id=0"
    try:
        with build_opener(ProxyHandler({}), _NoRedirection()).open(asked, timeout=_ANSWER_SECONDS):
            return False
    except HTTPError as error:
        error.close()
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise  # it says nothing of who is let in
        return error.code == HTTPStatus.UNAUTHORIZED


class _NoRedirection(HTTPRedirectHandler):
    """Leaves a redirection unfollowed, so that it counts as no refusal."""

    def redirect_request(self, *_: object) -> None:
        return None


class StopTags:
    """Look for the tags of one search, on the tracker's thread."""

    def __init__(self, client: "MlflowClient", folder: Path, uri: str) -> None:
        """Send nothing before the first poll.

        Args:
            client: of the tracking server.
            folder: the search's.
            uri: the address of the tracking server.
        """
        self._client = client
        self._folder = folder
        self._uri = uri
        self._is_guarded: bool | None = None
        """Whether the server lets in nobody without a credential; None: not asked yet."""
        self._polled = -POLL_SECONDS
        self._is_first = True
        self._heard: set[str] = set()
        """Runs whose tag is obeyed already, and could not be marked so yet."""

    def poll(self, experiment_id: str, runs: Mapping[str, str]) -> None:
        """Ask the server, if it is time, and pass on what is new.

        Args:
            experiment_id: the search's.
            runs: this search's, from run id to the trial's name, or to `SEARCH`.
        """
        driver = find_live_driver(self._folder)
        if driver is None or time.monotonic() - self._polled < POLL_SECONDS:
            return
        self._polled = time.monotonic()
        try:
            require_proof(self._uri, self._folder.absolute().parent)
            if not self._may_be_believed():
                return
            for run_id, value in self._tagged(experiment_id).items():
                if run_id in runs:
                    self._take(run_id, runs[run_id], value, identity(driver))
        except Exception as problem:  # noqa: BLE001 (an outage is the delivery's to tell)
            log.info("stop tags cannot be read: %s", redact(str(problem)))
            return
        self._is_first = False

    def _may_be_believed(self) -> bool:
        if self._is_guarded is None:
            self._is_guarded = is_guarded(self._uri)
            if not self._is_guarded:
                log.info(
                    "MLflow at %s asks nobody for a credential: a tag `stop` there stops nothing; "
                    "`spksearch stop` does",
                    redact(self._uri),
                )
        return self._is_guarded

    def _tagged(self, experiment_id: str) -> dict[str, str]:
        """Return the values of tags that ask for a stop, by run id."""
        found: Any = self._client.search_runs(
            [experiment_id], f"tags.`{TAG}` LIKE '%'", max_results=_MOST_RUNS
        )
        values = {run.info.run_id: run.data.tags.get(TAG, "").strip().lower() for run in found}
        return {run_id: value for run_id, value in values.items() if value not in _NO}

    def _take(self, run_id: str, key: str, value: str, driver: str) -> None:
        trial = None if key == SEARCH else key
        words = "passed on to the search's driver"
        if trial is None and self._is_first:
            # Who has launched the search since wants it to run.
            words = "not obeyed: it was set before the search was launched"
        elif run_id not in self._heard:
            log.info("a tag in MLflow asks to stop %s", trial or "the search")
            mailbox.write(
                self._folder, Stop(by=_BY, trial=trial, now=value == "now", driver=driver)
            )
            self._heard.add(run_id)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._client.set_tag(run_id, TAKEN, f"{now}: {words}")
        self._client.delete_tag(run_id, TAG)
        self._heard.discard(run_id)
