"""A tag in MLflow stops what it is set on, once, and nothing else."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from search.core.lease import this_process
from search.ledger.ledger import Ledger
from search.requests import mailbox
from search.requests.mailbox import identity
from search.tracking import stop_tags
from search.tracking.projection import SEARCH
from search.tracking.stop_tags import StopTags
from search.tracking.sync import Tracker

STORE = "sqlite:///a database is guarded by its own file or login"
RUNS = {"r0": SEARCH, "r1": "t0001", "r2": "t0002"}


class Server:
    """What the class asks of a client; `away` fails every call that writes."""

    def __init__(self):
        self.tags = {run: {} for run in (*RUNS, "foreign")}
        self.calls, self.away = 0, False

    def search_runs(self, experiments, filter_string, max_results):
        assert (experiments, filter_string) == (["7"], "tags.`stop` LIKE '%'")
        self.calls += 1
        found = [(run, tags) for run, tags in self.tags.items() if "stop" in tags][:max_results]
        return [
            SimpleNamespace(info=SimpleNamespace(run_id=run), data=SimpleNamespace(tags=dict(tags)))
            for run, tags in found
        ]

    def set_tag(self, run, key, value):
        if self.away:
            raise ConnectionError("away")
        self.tags[run][key] = value

    def delete_tag(self, run, key):
        del self.tags[run][key]


@pytest.fixture
def folder(tmp_path):
    with Ledger.open(tmp_path / "trip" / "ledger.jsonl", write=True):
        yield tmp_path / "trip"


@pytest.fixture
def polled(folder, monkeypatch):
    """A server, and a function that looks at it and gives the trials that are asked to stop."""
    monkeypatch.setattr(stop_tags, "POLL_SECONDS", 0.0)
    server = Server()
    tags = StopTags(server, folder, STORE)

    def poll_requests():
        tags.poll("7", RUNS)
        return [(each.read().trial, each.read().now) for each in mailbox.pending(folder)]

    poll_requests()
    return server, poll_requests


def test_a_tag_on_a_run_is_a_request_and_is_obeyed_once(polled, folder):
    server, poll_requests = polled
    server.tags["r1"]["stop"] = "please"
    server.tags["r2"]["stop"] = "Now"
    assert poll_requests() == [("t0001", False), ("t0002", True)]
    assert poll_requests() == [("t0001", False), ("t0002", True)]
    assert "stop" not in server.tags["r1"]
    assert "passed on" in server.tags["r1"]["stop_taken"]
    request = mailbox.pending(folder)[0].read()
    assert (request.by, request.driver) == ("the MLflow page", identity(this_process()))
    server.tags["r0"]["stop"] = "1"
    assert poll_requests()[-1] == (None, False)


@pytest.mark.parametrize("value", ["", "  ", "false", "False", "no", "0"])
def test_a_tag_that_says_no_is_none(polled, value):
    server, poll_requests = polled
    server.tags["r1"]["stop"] = value
    assert poll_requests() == []
    assert server.tags["r1"] == {"stop": value}


def test_a_run_that_is_not_this_searchs_has_no_say(polled):
    server, poll_requests = polled
    server.tags["foreign"] |= {"stop": "yes", "trial": "t0001", "search": "trip"}
    assert poll_requests() == []
    assert server.tags["foreign"]["stop"] == "yes"


def test_an_answer_that_is_lost_does_not_stop_twice(polled):
    server, poll_requests = polled
    server.tags["r1"]["stop"] = "yes"
    server.away = True
    assert poll_requests() == [("t0001", False)]
    server.away = False
    assert poll_requests() == [("t0001", False)]
    assert "stop" not in server.tags["r1"]
    server.tags["r1"]["stop"] = "again"
    assert poll_requests() == [("t0001", False)] * 2


def test_a_tag_that_stopped_an_earlier_launch_does_not_stop_the_next(folder, monkeypatch):
    monkeypatch.setattr(stop_tags, "POLL_SECONDS", 0.0)
    server = Server()
    server.tags["r0"]["stop"] = server.tags["r1"]["stop"] = "yes"
    StopTags(server, folder, STORE).poll("7", RUNS)
    assert [each.read().trial for each in mailbox.pending(folder)] == ["t0001"]
    assert "before the search was launched" in server.tags["r0"]["stop_taken"]


def test_the_server_is_asked_now_and_then_and_only_while_somebody_drives(folder, tmp_path):
    server = Server()
    tags = StopTags(server, folder, STORE)
    for _ in range(5):
        tags.poll("7", RUNS)
    assert server.calls == 1
    StopTags(server, tmp_path / "still", STORE).poll("7", RUNS)
    assert server.calls == 1


class _Tracking(BaseHTTPRequestHandler):
    """Answers every request with the status that it is told."""

    def do_GET(self):
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("status", "obeyed"), [(401, True), (200, False), (302, False), (403, False), (500, False)]
)
def test_a_tag_is_obeyed_only_where_the_server_asks_for_a_credential(
    folder, monkeypatch, status, obeyed
):
    monkeypatch.setattr(stop_tags, "POLL_SECONDS", 0.0)
    asked = HTTPServer(("127.0.0.1", 0), _Tracking)
    asked.status = status
    thread = threading.Thread(target=asked.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        server = Server()
        tags = StopTags(server, folder, f"http://me:secret@127.0.0.1:{asked.server_port}")
        tags.poll("7", RUNS)
        server.tags["r1"]["stop"] = "yes"
        tags.poll("7", RUNS)
        assert bool(mailbox.pending(folder)) == obeyed
        assert ("stop" in server.tags["r1"]) != obeyed
    finally:
        asked.shutdown()
        asked.server_close()
        thread.join()


@pytest.mark.slow
def test_a_trial_is_stopped_from_a_real_server(mlflow_server, ledger_on_disk, monkeypatch):
    monkeypatch.setattr(stop_tags, "POLL_SECONDS", 0.2)
    search = ledger_on_disk("tagged")
    search.begin()
    search.segment(search.trial(1), to_rung=9)
    client = MlflowClient(mlflow_server.uri)
    with Ledger.open(search.path, write=True):
        tracker = Tracker(search.path, mlflow_server.uri).start()
        try:
            assert tracker.drain(50)
            place = client.get_experiment_by_name(f"spksearch/{search.space}").experiment_id
            (run,) = client.search_runs([place], "tags.trial = 't0001'")
            client.set_tag(run.info.run_id, "stop", "yes")
            end = time.monotonic() + 20
            while not mailbox.pending(search.path.parent) and time.monotonic() < end:
                time.sleep(0.05)
            (request,) = mailbox.pending(search.path.parent)
            assert request.read().trial == "t0001"
            while "stop" in client.get_run(run.info.run_id).data.tags and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            tracker.close()
    tags = client.get_run(run.info.run_id).data.tags
    assert ("stop" in tags, "stop_taken" in tags) == (False, True)
