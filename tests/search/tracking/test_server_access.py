"""The local MLflow server answers who holds the home's credential, and nobody else."""

import asyncio
import base64
import http.client
import http.server
import re
import stat
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import pytest
from mlflow.exceptions import MlflowException

from search.core.errors import EnvironmentSetupError
from search.models.mlflow_client import connect_mlflow
from search.tracking import server_access, server_app
from search.tracking.client_settings import client_settings
from search.tracking.rest_client import ByHttp
from search.tracking.server_record import ServerRecord, write_record

SECRET = "f" * 64
PORT = 5000


def ask(path="/", method="GET", body=b"", kind="http", **headers):
    """Ask the check in front of an application that lets everything pass: status, headers, body."""
    sent = []

    async def application(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    listed = [(k.lower().replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "headers": listed,
        "server": ("127.0.0.1", PORT),
    }
    asyncio.run(server_app.CredentialCheck(application, SECRET)(scope, receive, send))
    found = {k.decode(): v.decode() for k, v in sent[0].get("headers", [])}
    text = sent[1]["body"].decode() if len(sent) > 1 else ""
    return SimpleNamespace(status=sent[0].get("status"), headers=found, text=text, sent=sent)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def sign_in(code):
    form = urlencode({"code": code, "to": "#/experiments/3"}).encode()
    return ask(server_access.SIGN_IN_PATH, "POST", form)


def test_the_credential_lets_in_as_token_and_as_password():
    assert ask(authorization=f"Bearer {SECRET}").status == 299
    assert ask(authorization=basic("spksearch", SECRET)).status == 299


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer ",
        f"Bearer {SECRET[1:]}",
        f"Bearer {SECRET} x",
        basic("spksearch", ""),
        basic("root", SECRET),
        "Basic ~",
        "Basic",
        SECRET,
        "Bearer \xe9",
    ],
)
@pytest.mark.parametrize("path", ["/", "/health", "/static-files/x.js", "/v1/traces", "/graphql"])
def test_nothing_else_does(shown, path):
    refused = ask(path, authorization=shown)
    assert refused.status == 401
    assert "UNAUTHENTICATED" in refused.text
    assert SECRET not in refused.text


def test_a_web_socket_without_the_credential_is_closed():
    assert ask(kind="websocket").sent == [{"type": "websocket.close", "code": 1008}]


def test_a_browser_is_asked_and_gets_a_cookie_that_only_its_own_pages_use():
    asked = ask(accept="text/html,*/*")
    assert asked.status == 401
    assert '<input type="password" name="code"' in asked.text
    answered = sign_in(SECRET)
    assert answered.status == 200
    assert "url=/#/experiments/3" in answered.text
    cookie = answered.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie
    assert SECRET not in cookie + answered.text
    shown = cookie.partition(";")[0]
    own = {"cookie": shown, "host": "127.0.0.1:5000"}
    assert ask(**own).status == 299
    assert ask(**own, origin="http://127.0.0.1:5000").status == 299
    assert ask(**own, sec_fetch_site="same-origin").status == 299
    # A page of another port is of the same site, so that the browser adds the cookie.
    assert ask(**own, origin="http://127.0.0.1:6000").status == 401
    assert ask(**own, origin="null").status == 401
    assert ask(**own, sec_fetch_site="same-site").status == 401
    assert ask(cookie=shown[:-1] + "x", host="127.0.0.1:5000").status == 401


def test_a_wrong_an_old_and_a_foreign_code_sign_nobody_in(monkeypatch):
    other = server_access.make_pass(SECRET, "browser")
    monkeypatch.setattr(server_access, "PASS_SECONDS", -1)
    old = server_access.make_pass(SECRET, "start page")
    for code in ("", "x", ".", "9" * 30 + ".", "\u0663.x", other, old):
        answered = sign_in(code)
        assert (answered.status, "set-cookie" in answered.headers) == (401, False)


def test_a_sign_in_leads_nowhere_else():
    form = urlencode({"code": SECRET, "to": "//evil.example/"}).encode()
    answered = ask(server_access.SIGN_IN_PATH, "POST", form)
    assert "evil" not in answered.text


def test_the_start_page_is_the_owners_and_does_not_show_the_credential(tmp_path):
    known = server_access.provide_credential(tmp_path)
    page = server_access.write_start_page(tmp_path, "http://127.0.0.1:5000", '#/"><x>')
    text = page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert known not in text
    assert "<x>" not in text
    code = re.search(r'name="code" value="([^"]+)"', text)[1]
    assert server_access.is_valid_pass(known, "start page", code)


def test_the_credential_is_made_once_for_the_owner_alone(tmp_path):
    known = server_access.provide_credential(tmp_path)
    assert len(known) == 64
    assert server_access.provide_credential(tmp_path) == known
    path = server_access.credential_path(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    path.chmod(0o644)
    with pytest.raises(EnvironmentSetupError, match=f"chmod 600 {path}"):
        server_access.provide_credential(tmp_path)


class Squatter(http.server.BaseHTTPRequestHandler):
    """Says that all is well, and notes every header that it is shown."""

    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.server.heard.append(str(self.headers))
        self.send_response(200)
        self.send_header(server_access.PROOF_HEADER, "0" * 64)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def log_message(self, *_):
        pass


@contextmanager
def squatted(folder):
    """Another program on the port that the record of a home names."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Squatter)
    made.heard = []
    write_record(folder, ServerRecord(1, "", made.server_port, 1, "", ""))
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def test_another_program_on_its_port_is_not_shown_the_credential(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    known = server_access.provide_credential(tmp_path)
    with squatted(tmp_path) as other:
        uri = f"http://127.0.0.1:{other.server_port}"
        assert not server_access.answers(other.server_port, known)
        with (
            client_settings(uri, tmp_path),
            closing(ByHttp(uri, known)) as calls,
            pytest.raises(MlflowException, match="is another program's"),
        ):
            calls.update("run", "RUNNING", None)
        with (
            pytest.raises(EnvironmentSetupError, match="is another program's"),
            connect_mlflow(uri),
        ):
            pytest.fail("connected")
        assert len(other.heard) == 3
        encoded = basic("spksearch", known)
        assert not any(known in each or encoded in each for each in other.heard)


def test_the_answer_of_one_port_proves_nothing_on_another():
    assert server_access.prove(SECRET, "n", 5000) != server_access.prove(SECRET, "n", 5001)


def test_only_the_homes_own_server_is_given_the_credential(tmp_path):
    known = server_access.provide_credential(tmp_path)
    write_record(tmp_path, ServerRecord(1, "", 5000, 1, "", ""))
    given = server_access.client_environment("http://localhost:5000", tmp_path)
    assert given["MLFLOW_TRACKING_PASSWORD"] == known
    for uri in (
        "http://127.0.0.1:5001",
        "https://127.0.0.1:5000",
        "http://mlflow.example:5000",
        "http://me:x@127.0.0.1:5000",
        "sqlite:///x.db",
        "",
    ):
        assert server_access.client_environment(uri, tmp_path) == {}


@pytest.mark.slow
def test_every_route_of_the_real_server_asks_for_the_credential(mlflow_server):
    routes = [
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/version"),
        ("GET", "/static-files/index.html"),
        ("GET", "/get-artifact?path=x&run_uuid=y"),
        ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x"),
        ("POST", "/api/2.0/mlflow/registered-models/create"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("GET", "/ajax-api/3.0/jobs/x"),
        ("POST", "/graphql"),
        ("POST", "/v1/traces"),
        ("POST", "/gateway/x/mlflow/invocations"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("GET", "/ajax-api/3.0/mlflow/webhooks"),
        ("OPTIONS", "/"),
        ("GET", "/no-such-route"),
    ]
    parts = urlsplit(mlflow_server.uri)
    for method, path in routes:
        with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)) as asked:
            asked.request(method, path)
            answer = asked.getresponse()
            assert (method, path, answer.status) == (method, path, 401)
            assert b"UNAUTHENTICATED" in answer.read()
    for file in ("environ", "cmdline"):
        shown = Path(f"/proc/{mlflow_server.pid}/{file}").read_bytes()
        assert server_access.read_credential(mlflow_server.folder).encode() not in shown
    log = (mlflow_server.folder / "mlflow-server.log").read_text()
    assert server_access.read_credential(mlflow_server.folder) not in log
