"""A launch as a job of a Ray cluster: what travels, what does not, and a real one."""

import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from search.core.errors import EnvironmentSetupError
from search.launch import background, ray_job
from search.launch.launch_record import BackgroundLaunch
from search.launch.settings import LaunchRequest
from search.space.loader import load
from tests.support import tone_corpus
from tests.support.tiny_space import SPACE


@pytest.fixture
def own_space(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(SPACE)
    return path


# --- what travels ----------------------------------------------------------------------------


def test_the_code_travels_whole_and_runs_where_nothing_of_it_is_installed(tmp_path, own_space):
    folder = tmp_path / "job"
    folder.mkdir()
    own = ray_job._stage(folder, own_space)
    assert own == "own_spaces/tiny.py"
    assert not list(folder.rglob("__pycache__"))
    assert not [path for path in folder.rglob("*") if path.name.startswith("test_")]
    code = (
        "import search, spkmodel, spaces.logged, importlib.metadata as m; "
        "assert all(p.__file__.startswith('.') or '/job/' in p.__file__ for p in (search, spaces));"
        "print(len(spaces.logged.entries()), m.version('spksearch'))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["73", version("spksearch")]


def test_a_space_of_ours_goes_by_its_name_and_too_much_code_does_not_go(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    assert ray_job._stage(tmp_path / "one", load("quickstart").path) == ""
    monkeypatch.setattr(ray_job, "_MOST_BYTES", 1000)
    (tmp_path / "two").mkdir()
    with pytest.raises(EnvironmentSetupError, match="no more than 0 MB travel"):
        ray_job._stage(tmp_path / "two", load("quickstart").path)


def test_a_jobs_command_has_whole_paths_no_address_and_the_first_python_that_will_do(tmp_path):
    request = LaunchRequest(
        space="mine.py", corpus=Path("data"), name="trip", address="head:6379", trials=3
    )
    command = ray_job.entrypoint(request, "own_spaces/mine.py")
    asked = f"launch own_spaces/mine.py --corpus {Path('data').absolute()} --name trip --trials 3;"
    assert f"-m search {asked}" in command
    assert "head" not in command
    (tmp_path / "python").write_text('#!/bin/sh\n[ "$2" = -m ]\n')  # one that has nothing
    (tmp_path / "python3").write_text('#!/bin/sh\n[ "$2" = -c ] || echo "$@"\n')
    for name in ("python", "python3"):
        (tmp_path / name).chmod(0o755)
    command = command.replace(shlex.quote(sys.executable), str(tmp_path / "none"))
    run = ["/bin/sh", "-c", command]
    done = subprocess.run(run, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.startswith("-P -m search launch own_spaces/mine.py")
    (tmp_path / "python3").unlink()
    done = subprocess.run(run, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, "no Python here has Ray" in done.stderr) == (3, True)


def test_no_secret_is_in_a_jobs_description(spksearch_home, monkeypatch, own_space):
    for name in ("RAY_AUTH_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hush")
    passed_on = ray_job.environment("http://mlflow:5000")
    assert passed_on["SPKSEARCH_HOME"] == str(spksearch_home)
    assert passed_on["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert "hush" not in passed_on.values()
    request = LaunchRequest(
        space=str(own_space), corpus=Path("x"), tracking_uri="https://anna:hush@mlflow"
    )
    with pytest.raises(EnvironmentSetupError, match="holds a password") as told:
        ray_job.submit("trip", request, "http://127.0.0.1:1", own_space, "anna")
    assert "hush" not in str(told.value)


def test_a_cluster_that_does_not_answer_is_told_and_its_job_not_known(monkeypatch):
    def away(address):
        raise ConnectionError(f"nothing at {address}, https://anna:hush@there")

    monkeypatch.setattr(ray_job, "_client", away)
    gone = BackgroundLaunch(kind="job", by="anna", address="http://127.0.0.1:9", submission_id="x")
    assert ray_job.is_running(gone) is None
    with pytest.raises(EnvironmentSetupError, match="takes no jobs: nothing at http") as told:
        list(ray_job.log(gone, follow=False))
    assert "hush" not in str(told.value)


def test_a_job_that_could_not_be_found_again_from_here_is_not_started(own_space, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", "/proc/shared/runs")  # where nobody makes a folder
    monkeypatch.setattr(ray_job, "submit", lambda *_: pytest.fail("it was started"))
    request = LaunchRequest(
        space=str(own_space), corpus=Path("/corpora/speech"), address="http://127.0.0.1:1"
    )
    with pytest.raises(
        EnvironmentSetupError, match="SPKSEARCH_HOME is a folder that the cluster's"
    ):
        background.launch(request, "anna")


# --- a real one ------------------------------------------------------------------------------


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def head(tmp_path):
    """A head with a token on ports of its own; its address, and the environment to reach it."""
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_AUTH_MODE"}
    environment |= {
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "SPKSEARCH_HOME": str(tmp_path / "home"),
    }
    names = ("port", "dashboard-port", "dashboard-agent-listen-port")
    ports = {name: _free_port() for name in (*names, "metrics-export-port")}
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--num-cpus=2"]
    command += ["--object-store-memory=104857600", "--disable-usage-stats"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    process = subprocess.Popen(
        command, env=environment | {"RAY_AUTH_MODE": "token"}, stdout=subprocess.DEVNULL
    )
    try:
        for name in names:
            _await_port(ports[name], process)
        yield f"127.0.0.1:{ports['port']}", environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _await_port(port, process):
    end = time.monotonic() + 90
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
        else:
            return


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_job_of_a_real_cluster_is_waited_for_and_heard_from_elsewhere(head, tmp_path, own_space):
    address, environment = head
    corpus = tone_corpus.write_corpus(tmp_path / "buzz")

    def spksearch(*words):
        line = [sys.executable, "-m", "search", *map(str, words)]
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    launch = ["launch", own_space, "--corpus", corpus, "--name", "job", "--trials", 2]
    launch += ["--max-epochs", 2, "--address", address, "--detach"]
    code, said = spksearch(*launch)
    assert (code, "Ray job spksearch-job-" in said) == (0, True), said
    assert spksearch(*launch)[0] == 3, "it is being launched already"
    code, said = spksearch("wait", "job", "--timeout", 240)
    assert (code, "2 of 2 trials" in said) == (0, True), said
    code, said = spksearch("logs", "job", "--follow")
    assert "job finished: all trials tried" in said
    assert "epoch 1: dev_eer=" in spksearch("logs", "job", "t0001")[1]
    wrong = ["launch", own_space, "--corpus", tmp_path / "nowhere", "--name", "wrong"]
    assert spksearch(*wrong, "--address", address, "--detach")[0] == 0
    code, said = spksearch("wait", "wrong", "--timeout", 60)
    assert (code, "before the search began, ended with exit code 2" in said) == (2, True), said
    assert "is not a folder" in spksearch("logs", "wrong")[1]
    environment["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "another")
    (tmp_path / "another").write_text("0" * 64)
    (tmp_path / "another").chmod(0o600)
    code, said = spksearch("logs", "wrong")
    assert (code, "token" in said) == (3, True), said
