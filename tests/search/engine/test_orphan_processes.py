import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from search.engine import orphan_processes
from spkmodel.core.process_identity import process_start
from spkmodel.worker.processes import announce


@pytest.fixture
def orphan():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def _head(folder, *processes, started=None):
    entries = [
        {
            "host": socket.gethostname(),
            "pid": process.pid,
            "started": started or process_start(process.pid),
            "trial": "",
            "attempt": 0,
        }
        for process in processes
    ]
    (folder / "head-1.json").write_text(json.dumps(entries))


def test_a_process_is_killed_although_it_is_stopped(orphan):
    orphan.send_signal(signal.SIGSTOP)
    assert orphan_processes.kill(orphan.pid, process_start(orphan.pid)) == "killed"
    assert orphan.wait(5) == -signal.SIGKILL


def test_a_process_that_only_has_the_pid_of_the_one_that_is_gone_lives_on(tmp_path, orphan):
    other = process_start(orphan.pid) + "0"
    assert orphan_processes.kill(orphan.pid, other) == "gone"
    _head(tmp_path, orphan, started=other)
    assert orphan_processes.end_all(orphan_processes.find_orphans(tmp_path)) == []
    assert orphan.poll() is None


def test_what_is_left_of_a_dead_drivers_ray_is_ended_once_and_told(tmp_path, orphan):
    _head(tmp_path, orphan)
    (ended,) = orphan_processes.end_all(orphan_processes.find_orphans(tmp_path))
    assert ended.to_event().fields() == {
        "host": socket.gethostname(),
        "pid": orphan.pid,
        "started": ended.started,
        "trial": "",
        "attempt": 0,
        "fate": "killed",
    }
    assert orphan_processes.find_orphans(tmp_path) == []


def test_an_actor_that_worked_on_several_attempts_is_one_process(tmp_path):
    for trial, attempt in (("t0001", 1), ("t0002", 1), ("t0002", 2)):
        announce(tmp_path / "trials" / trial, attempt, "")
    (found,) = orphan_processes.find_orphans(tmp_path)
    assert (found.pid, found.trial, found.attempt) == (os.getpid(), "t0002", 2)


def test_a_file_that_is_damaged_stands_in_nobodys_way(tmp_path):
    (tmp_path / "head-1.json").write_text('[{"pid"')
    assert orphan_processes.find_orphans(tmp_path) == []
    assert not (tmp_path / "head-1.json").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_processes_of_our_own_head_are_written_down_and_are_nobodys_leftovers(tmp_path):
    orphan_processes.record_head_processes(tmp_path)
    (path,) = tmp_path.glob("head-*.json")
    noted = [
        Path(f"/proc/{each['pid']}/cmdline").read_bytes() for each in json.loads(path.read_text())
    ]
    assert any(b"/raylet/raylet" in line for line in noted)
    assert any(b"gcs_server" in line for line in noted)
    assert orphan_processes.find_orphans(tmp_path) == []
    assert path.exists()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_a_process_of_another_host_is_killed_by_a_task_there(tmp_path, orphan, monkeypatch):
    _head(tmp_path, orphan)
    # The machine is this one, reached as another would be.
    elsewhere = property(lambda _: False)
    monkeypatch.setattr(orphan_processes.OrphanProcess, "is_on_this_host", elsewhere)
    (ended,) = orphan_processes.end_all(orphan_processes.find_orphans(tmp_path))
    assert (ended.pid, ended.fate) == (orphan.pid, "killed")
    assert orphan.wait(5) == -signal.SIGKILL
    _head(tmp_path, orphan, started="0-1")
    assert orphan_processes.end_all(orphan_processes.find_orphans(tmp_path)) == []
