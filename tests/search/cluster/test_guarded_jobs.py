"""A dashboard that is played: what it says to a question without a token."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from search.cluster.auth_token import set_auth_mode
from search.cluster.preflight import require_guarded_jobs
from search.core.errors import EnvironmentSetupError


@contextmanager
def dashboard(status, body):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def machines(*addresses):
    return {"data": {"summary": [{"ip": address} for address in addresses]}}


@pytest.fixture(autouse=True)
def _nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield
    set_auth_mode("disabled")


def test_an_open_cluster_behind_a_forwarded_port_gets_no_job():
    with dashboard(200, machines("10.0.0.1")) as address:
        with pytest.raises(EnvironmentSetupError, match="asks for no token"):
            require_guarded_jobs(address)
        require_guarded_jobs(address, insecure=True)
    with dashboard(200, machines("127.0.0.1")) as address:
        require_guarded_jobs(address)


def test_where_a_token_is_wanted_there_must_be_one(tmp_path):
    with dashboard(401, {}) as address:
        with pytest.raises(EnvironmentSetupError, match="wants a token, and there is none here"):
            require_guarded_jobs(address)
        token = tmp_path / ".ray" / "auth_token"
        token.parent.mkdir()
        token.touch(0o600)
        token.write_text("a" * 32)
        require_guarded_jobs(address)


def test_what_is_no_dashboard_is_told():
    with (
        dashboard(200, ["hello"]) as address,
        pytest.raises(EnvironmentSetupError, match="no Ray dashboard"),
    ):
        require_guarded_jobs(address)
    with pytest.raises(EnvironmentSetupError, match="no Ray dashboard answers"):
        require_guarded_jobs("http://127.0.0.1:1")
