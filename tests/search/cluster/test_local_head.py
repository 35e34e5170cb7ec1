"""A head that is slow to start is waited for, started once more, and ended for certain."""

import os
import signal
import subprocess
import sys

import pytest

from search.cluster import local_head
from search.cluster.local_head import LocalHead
from search.core.errors import EnvironmentSetupError, UsageError
from search.core.process_tree import list_children, list_descendants, list_ray_processes

WORKER_SECONDS = "RAY_worker_register_timeout_seconds"
SLOW = (
    "The current node timed out during startup. This could happen because some of the raylet "
    "failed to startup or the GCS has become overloaded."
)


@pytest.fixture
def child():
    """A process that looks like one of Ray's, and is none."""
    command = [sys.executable, "-c", "import time; time.sleep(60)", "/ray/core/raylet/raylet"]
    with subprocess.Popen(command) as process:
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch):
    """Neither the Ray of the test run nor its settings are touched."""
    monkeypatch.setattr("ray.shutdown", lambda: None)
    for name in (
        "RAY_gcs_server_port_wait_time_s",
        "RAY_agent_register_timeout_ms",
        WORKER_SECONDS,
    ):
        monkeypatch.setenv(name, "1")  # so that it is put back afterwards
        monkeypatch.delenv(name)


def fails(times, error):
    """What stands for `ray.init`, and the list of its calls."""
    calls = []

    def init():
        calls.append(os.environ[WORKER_SECONDS])
        if len(calls) <= times:
            raise error

    return init, calls


def test_a_head_that_does_not_come_up_in_time_is_started_once_more(caplog, monkeypatch):
    monkeypatch.setenv(local_head.START, "90")
    init, calls = fails(1, Exception(SLOW))
    local_head.start(init)
    assert calls == ["90", "90"]
    assert [record.getMessage() for record in caplog.records] == [
        f"Ray did not start, and is started once more: {SLOW}"
    ]


def test_after_the_second_time_the_environment_is_at_fault_and_the_message_says_what_to_do():
    init, calls = fails(2, Exception(SLOW))
    with pytest.raises(EnvironmentSetupError) as raised:
        local_head.start(init)
    assert len(calls) == 2
    said = str(raised.value)
    assert said.startswith(
        "a local Ray head could not be started, tried twice: The current node timed out"
    )
    assert "SPKSEARCH_RAY_START_SECONDS=540" in said
    assert "spksearch doctor" in said


def test_what_is_wrong_with_the_request_itself_is_not_tried_again():
    init, calls = fails(1, ValueError("num_gpus must not be negative"))
    with pytest.raises(EnvironmentSetupError, match="could not be started: num_gpus must not"):
        local_head.start(init)
    assert len(calls) == 1


def test_a_patience_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(local_head.START, "a while")
    with pytest.raises(UsageError, match="SPKSEARCH_RAY_START_SECONDS must be a number"):
        local_head.start(lambda: None)


def test_a_node_that_is_not_known_yet_is_asked_for_again_while_its_raylet_lives(monkeypatch):
    from ray._private import services

    monkeypatch.setattr(local_head, "_POLL_SECONDS", 0.01)
    raylets = [7]
    monkeypatch.setattr(local_head, "list_ray_processes", lambda _: raylets)
    answers = []

    def get_node(*_):
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(services, "get_node", get_node)
    answers += [{"node_id": "a"}, RuntimeError("no node"), RuntimeError("no node")]
    with local_head._patient_ray(30):
        assert services.get_node("127.0.0.1:1", "a") == {"node_id": "a"}
    assert services.get_node is get_node
    raylets.clear()
    answers += [{"node_id": "a"}, RuntimeError("no node")]
    with local_head._patient_ray(30), pytest.raises(RuntimeError, match="no node"):
        services.get_node("127.0.0.1:1", "a")


def test_a_half_started_head_is_ended_before_the_next_try(monkeypatch, child):
    there = [[3], [3, child.pid], [3]]
    monkeypatch.setattr(local_head, "list_ray_processes", lambda: there.pop(0))
    init, calls = fails(1, Exception(SLOW))
    local_head.start(init)
    assert len(calls) == 2
    assert child.pid not in list_children()


def test_the_process_that_has_ended_is_named_with_how(child, tmp_path):
    head = LocalHead({"gcs_server": child}, tmp_path)
    assert head.find_ended() == ""
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert head.find_ended() == (
        f"Ray's gcs_server on this machine (process {child.pid}) has ended (killed by SIGKILL)"
    )
    done = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    done.wait()
    assert "has ended (exit code 1)" in LocalHead({"raylet": done}, tmp_path).find_ended()


def test_processes_are_ended_and_waited_for(child):
    assert child.pid in list_children()
    assert child.pid in list_descendants(os.getpid())
    assert child.pid in list_ray_processes("raylet/raylet")
    local_head.end_processes([child.pid])
    assert child.pid not in list_children()
    local_head.end_processes([child.pid])


def test_a_lost_head_leaves_the_last_lines_of_its_logs_and_nothing_else(
    child, tmp_path, monkeypatch
):
    monkeypatch.setattr(local_head, "list_ray_processes", lambda: [child.pid])
    session = tmp_path / "session_1"
    (session / "logs").mkdir(parents=True)
    (session / "logs" / "raylet.out").write_text("\n".join(map(str, range(1000))))
    LocalHead({"raylet": child}, session).end(tmp_path / "ray-lost.log")
    kept = (tmp_path / "ray-lost.log").read_text()
    assert "--- raylet.out\n900\n" in kept
    assert "\n999\n" in kept
    assert "gcs_server.err" in kept  # and that there was none
    assert not session.exists()
    assert child.pid not in list_children()
