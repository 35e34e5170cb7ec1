"""The local server: found, shared, guarded, ended."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from search.core.errors import EnvironmentSetupError
from search.tracking import server_guard
from search.tracking.server import find_running, start
from search.tracking.server_access import read_credential
from spkmodel.core.process_identity import process_start
from tests.support import users_folder

SLEEPER = "import os, time, sys; print(os.getpid(), flush=True); time.sleep(60)"


def ended(pid: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while process_start(pid) is not None and time.monotonic() < end:
        time.sleep(0.02)
    return process_start(pid) is None


def http_status(port: int, host_header: str, credential: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(
        "GET",
        "/api/2.0/mlflow/experiments/get?experiment_id=0",
        headers={"Host": host_header, "Authorization": f"Bearer {credential}"},
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.slow
def test_a_second_command_uses_the_server_that_runs(mlflow_server, mlflow_server_home):
    other = start(mlflow_server_home)
    assert (other.uri, other.pid, other.owned) == (mlflow_server.uri, mlflow_server.pid, False)
    other.stop()
    assert mlflow_server.alive()


@pytest.mark.slow
def test_the_server_imports_nothing_of_the_folder_that_it_serves(mlflow_server):
    assert mlflow_server.alive()
    assert users_folder.imported(mlflow_server.folder) == []


@pytest.mark.slow
def test_only_names_of_this_machine_are_let_in(mlflow_server):
    port, known = mlflow_server.port, read_credential(mlflow_server.folder)
    assert http_status(port, f"127.0.0.1:{port}", known) == 200
    assert http_status(port, f"localhost:{port}", known) == 200
    assert http_status(port, "10.evil.example", known) == 403
    assert http_status(port, "localhost.evil.example", known) == 403


def test_an_occupied_port_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EnvironmentSetupError, match=f"port {port} on 127.0.0.1 is occupied"):
            start(tmp_path, port=port)
    assert not (tmp_path / "mlflow-server.json").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(EnvironmentSetupError, match=r"cannot write in .*home"):
        start(tmp_path / "home")


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path, monkeypatch):
    words = "print('no database at mysql://me:hidden@nowhere'); raise SystemExit(1)"
    monkeypatch.setattr(
        "search.tracking.server._command", lambda port: [sys.executable, "-c", words, str(port)]
    )
    server = start(tmp_path)
    with pytest.raises(
        EnvironmentSetupError, match=r"(?s)server ended.*mlflow-server\.log"
    ) as told:
        server.wait_ready()
    server.stop()
    assert "no database at mysql://***@nowhere" in str(told.value)


def test_a_server_that_never_answers_is_given_up_and_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "search.tracking.server._command", lambda port: [sys.executable, "-c", SLEEPER, str(port)]
    )
    server = start(tmp_path)
    with pytest.raises(EnvironmentSetupError, match=f"no answer on port {server.port}"):
        server.wait_ready(seconds=0.3)
    server.stop()
    assert not server.alive()


def test_the_next_server_of_a_home_has_the_same_port(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "search.tracking.server._command", lambda port: [sys.executable, "-c", SLEEPER, str(port)]
    )
    ports = []
    for _ in range(2):
        server = start(tmp_path)
        ports.append(server.port)
        server.stop()
    assert ports[0] == ports[1]


def test_a_record_of_a_process_that_is_gone_finds_nothing(tmp_path):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    record = {
        "pid": int(gone.stdout),
        "started": "1",
        "port": 5000,
        "owner_pid": os.getpid(),
        "owner_started": process_start(os.getpid()),
        "store": "x",
    }
    (tmp_path / "mlflow-server.json").write_text(json.dumps(record))
    assert find_running(tmp_path) is None
    (tmp_path / "mlflow-server.json").write_text("{torn")
    assert find_running(tmp_path) is None


def start_owner(command: list[str]) -> tuple[subprocess.Popen, int, int]:
    """A process that owns a guard that runs `command`; with the pids of guard and command."""
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            "reader, writer = os.pipe()\n"
            "guard = subprocess.Popen(sys.argv[1:], stdin=reader, start_new_session=True)\n"
            "print(guard.pid, flush=True)\n"
            "time.sleep(60)",
            sys.executable,
            server_guard.__file__,
            *command,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline()), int(owner.stdout.readline())


@pytest.mark.parametrize("victim", ["owner", "guard", "command"])
def test_nothing_of_a_server_outlives_owner_guard_or_command(victim):
    owner, guard, command = start_owner([sys.executable, "-c", SLEEPER])
    try:
        time.sleep(0.3)
        os.kill({"owner": owner.pid, "guard": guard, "command": command}[victim], signal.SIGKILL)
        if victim == "owner":
            owner.wait()
        assert ended(command)
        # The owner of a dead guard is its parent and has not asked for its end yet: a zombie.
        assert ended(guard)
    finally:
        owner.kill()
        owner.communicate()
