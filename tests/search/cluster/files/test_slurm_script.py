"""`cluster/slurm.sh` with stand-ins for Slurm's commands; real Slurm runs it in tests/cluster."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[4] / "cluster" / "slurm.sh"

STAND_INS = {
    # Runs what is to be run on the first node.
    "srun": """while [ "$1" != ray ] && [ "$1" != bash ]; do
  echo "srun $1" >>"$LOG"; shift; done; exec "$@" """,
    "scontrol": """case $1 in show) echo n1; echo n2 ;; *) echo "scontrol $*" >>"$LOG" ;; esac""",
    "getent": "echo '10.1.2.3 STREAM n1'",
    "sleep": "exit 0",  # nobody waits two minutes for a lease here
}
RAY = """echo "ray $*" >>"$LOG"; echo "token $RAY_AUTH_MODE $RAY_AUTH_TOKEN_PATH" >>"$LOG"
while [ "$1" != -- ]; do shift; done; shift; "$@" """
PYTHON = """echo "python $*" >>"$LOG"
[ -z "${STAYS:-}" ] || { trap 'echo left >>"$LOG"; exit 143' TERM
  echo ready >>"$LOG"; while :; do /bin/sleep 0.05; done; }
exit "${CODE:-0}" """

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture
def node(tmp_path):
    """Environment of a batch script on the first of two nodes."""
    for folder, programs in (
        ("slurm", STAND_INS),
        (".venv/bin", {"ray": RAY, "python": PYTHON}),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for name, text in programs.items():
            program = tmp_path / folder / name
            program.write_text(f"#!/usr/bin/env bash\n{text}\n")
            program.chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'slurm'}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
        "LOG": str(tmp_path / "log"),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NODELIST": "n[1-2]",
        "SLURM_NNODES": "2",
        "SLURM_CPUS_ON_NODE": "4",
    }


@pytest.fixture
def start(node):
    """Starts the script; what it started has ended when the test has, however the test ended."""
    started = []

    def start(*arguments, **environment):
        process = subprocess.Popen(
            ["bash", SCRIPT, *arguments],
            env=node | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def run(node, start):
    def run(*arguments, **environment):
        process = start(*arguments, **environment)
        said, _ = process.communicate(timeout=20)
        return process.returncode, said, _log(node)

    return run


def _log(node):
    log = Path(node["LOG"])
    return log.read_text() if log.exists() else ""


def test_the_launch_gets_the_arguments_and_the_address_of_the_first_node(run):
    code, _, log = run("triplet", "--corpus", "a folder")
    assert code == 0
    assert "python -P -m search launch triplet --corpus a folder --address 10.1.2.3:6379" in log
    assert "--min-nodes 2 --num-cpus=4" in log
    assert "srun --ntasks-per-node=1" in log


def test_the_token_is_a_file_of_the_owner_alone_and_on_no_command_line(run, tmp_path):
    _, _, log = run("triplet")
    token = tmp_path / "runs" / "ray-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64
    assert token.read_text() not in log
    assert f"token token {token}" in log


def test_a_second_job_keeps_the_token_of_the_first(run, tmp_path):
    run("triplet")
    first = (tmp_path / "runs" / "ray-token").read_text()
    run("triplet")
    assert (tmp_path / "runs" / "ray-token").read_text() == first
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["ray-token"]


def test_a_token_that_others_can_read_is_refused(run, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ray-token").write_text("a" * 64)
    (tmp_path / "runs" / "ray-token").chmod(0o644)
    code, said, log = run("triplet")
    assert code == 3
    assert "chmod 600" in said
    assert not log


def test_the_exit_code_of_the_launch_is_that_of_the_job(run):
    code, _, log = run("triplet", CODE="4")
    assert code == 4
    assert "requeue" not in log


def test_workers_that_have_to_be_killed_do_not_make_a_launch_that_succeeded_a_failure(
    run, tmp_path
):
    srun = tmp_path / "slurm" / "srun"
    srun.write_text(srun.read_text().replace('exec "$@"', '"$@"; exit 137'))
    assert run("triplet")[0] == 0
    assert run("triplet", CODE="4")[0] == 4


def test_before_the_limit_the_launch_alone_leaves_and_the_job_is_requeued(node, start):
    process = start("triplet", STAYS="yes")
    deadline = time.monotonic() + 15
    while "ready" not in _log(node) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=15)
    assert process.returncode == 143, said
    assert "left" in _log(node)
    assert "scontrol requeue 17" in _log(node)


def test_a_restarted_job_tries_again_when_a_dead_driver_still_holds_the_search(run):
    code, said, log = run("triplet", CODE="3", SLURM_RESTART_COUNT="1")
    assert code == 3
    assert "the search goes on" in said
    assert log.count("\npython -P -m search launch") == 2


@pytest.mark.parametrize("broken", ["no venv", "no arguments", "loopback"])
def test_what_cannot_work_is_said_before_ray_starts(node, run, tmp_path, broken):
    arguments = ["triplet"]
    if broken == "no venv":
        node["SPKSEARCH_VENV"] = str(tmp_path / "elsewhere")
    elif broken == "no arguments":
        arguments = []
    else:
        (tmp_path / "slurm" / "getent").write_text("#!/bin/sh\necho '127.0.1.1 STREAM n1'\n")
    code, said, log = run(*arguments)
    assert code == (2 if broken == "no arguments" else 3)
    assert said
    assert "ray" not in log
