"""Both ways of speaking to a server come to the same."""

import http.server
import json
import threading
import time
from contextlib import closing

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException

from search.tracking import rest_client
from search.tracking.projection import Point
from search.tracking.rest_client import ByClient, ByHttp, for_server, why_client

POINTS = [Point(3, "dev_eer", 0.1 + 0.2, 1, 1_700_000_000_000), Point(4, "loss", 2.0, 1, 5)]


@pytest.fixture(params=["client", "http"])
def calls(request, mlflow_server):
    uri = mlflow_server.uri
    made = ByHttp(uri) if request.param == "http" else ByClient(MlflowClient(uri))
    yield made
    made.close()


@pytest.fixture
def client(mlflow_server):
    return MlflowClient(mlflow_server.uri)


@pytest.fixture
def experiment(client, request):
    return client.create_experiment(request.node.name)


@pytest.mark.slow
def test_a_run_is_made_added_to_and_ended(calls, client, experiment):
    run_id = calls.create(experiment, "t0001 tdnn", 1_700_000_000_123, [("kind", "trial")])
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("t0001 tdnn", "RUNNING")
    assert (run.info.start_time, run.info.user_id) == (1_700_000_000_123, "unknown")
    for _ in range(2):
        calls.add(run_id, POINTS, [("rate", "1e-3")], [("rung", "1"), ("wörter", "“ja”")])
    calls.update(run_id, "FINISHED", 1_700_000_009_000)
    run = client.get_run(run_id)
    assert run.data.params == {"rate": "1e-3"}
    assert run.data.tags.items() >= {("kind", "trial"), ("rung", "1"), ("wörter", "“ja”")}
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1_700_000_009_000)
    (point,) = client.get_metric_history(run_id, "dev_eer")
    assert (point.value, point.step, point.timestamp) == (0.1 + 0.2, 1, 1_700_000_000_000)
    calls.update(run_id, "RUNNING", None)
    assert client.get_run(run_id).info.status == "RUNNING"


@pytest.mark.slow
def test_what_is_refused_is_told_with_mlflows_code(calls, experiment):
    run_id = calls.create(experiment, "run", 1, [])
    calls.add(run_id, [], [("rate", "1")], [])
    with pytest.raises(MlflowException) as refused:
        calls.add(run_id, [], [("rate", "2")], [])
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException) as unknown:
        calls.update("0" * 32, "FINISHED", 1)
    assert unknown.value.error_code == "RESOURCE_DOES_NOT_EXIST"


class Server(http.server.BaseHTTPRequestHandler):
    """Notes what it is asked; may close every connection after its answer, without a word."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append((self.path, self.headers["Authorization"], body))
        self._say(self.server.status, json.dumps(self.server.answer).encode())

    def do_GET(self):
        self._say(self.server.status, b"OK")

    def _say(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.server.hasty

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    made.heard, made.status, made.answer, made.hasty = [], 200, {}, False
    made.uri = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def test_a_connection_that_the_server_has_closed_is_opened_again(server):
    server.hasty = True
    with closing(ByHttp(server.uri)) as calls:
        for _ in range(3):
            calls.update("run", "RUNNING", None)
            time.sleep(0.1)
            assert rest_client._is_dropped(calls._connection)
    assert [path for path, _, _ in server.heard] == ["/api/2.0/mlflow/runs/update"] * 3


def test_a_server_that_is_away_or_answers_nonsense_is_told_and_nothing_is_sent_twice(server):
    calls = ByHttp(server.uri)
    server.status, server.answer = 500, {"error_code": "INTERNAL_ERROR", "message": "no"}
    with pytest.raises(RestException, match="no"):
        calls.update("run", "RUNNING", None)
    server.status, server.answer = 502, ["a gateway"]
    with pytest.raises(MlflowException, match="502"):
        calls.update("run", "RUNNING", None)
    assert len(server.heard) == 2
    calls.close()
    server.shutdown()
    server.server_close()
    with pytest.raises(MlflowException, match="ConnectionRefusedError"):
        calls.update("run", "RUNNING", None)


def _update_once(uri):
    with closing(ByHttp(uri)) as calls:
        calls.update("run", "RUNNING", None)


def test_passwords_and_tokens_go_where_mlflows_client_would_send_them(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
    _update_once(server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    _update_once(server.uri)
    _update_once(server.uri.replace("//", "//bob:p%40ss@"))
    said = [authorization for _, authorization, _ in server.heard]
    assert said == ["Bearer a-token", "Basic YW5uOnNlY3JldA==", "Basic Ym9iOnBAc3M="]


def test_mlflows_client_is_used_where_more_than_an_address_decides(server, monkeypatch, tmp_path):
    assert why_client(server.uri) == ""
    assert isinstance(for_server(server.uri, None, tmp_path), ByHttp)
    assert why_client("sqlite:///mlflow.db")
    assert why_client("https://mlflow.example")
    with monkeypatch.context() as only_here:
        only_here.setenv("MLFLOW_TRACKING_AWS_SIGV4", "true")
        assert why_client(server.uri) == "MLFLOW_TRACKING_AWS_SIGV4 is set"
    with monkeypatch.context() as only_here:
        only_here.setenv("HTTP_PROXY", "http://proxy.example:3128")
        only_here.setenv("http_proxy", "http://proxy.example:3128")
        only_here.setenv("NO_PROXY", "127.0.0.1")
        only_here.setenv("no_proxy", "127.0.0.1")
        assert why_client("http://mlflow.example") == "a proxy is set"
        assert why_client(server.uri) == ""
    server.status = 302
    assert isinstance(for_server(server.uri, None, tmp_path), ByClient)
    (tmp_path / ".netrc").write_text("machine x login y password z")
    assert "netrc" in why_client(server.uri)
