import errno
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from spkmodel.worker import processes


def test_a_process_is_told_apart_from_one_that_is_gone():
    assert processes.process_start(os.getpid()) == processes.process_start(os.getpid())
    assert processes.process_start(2**22 + 1) is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = processes.process_start(child.pid)
    assert started not in (None, processes.process_start(os.getpid()))
    child.communicate(b"\n")
    assert processes.process_start(child.pid) is None


def test_a_process_that_died_and_was_not_waited_for_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.process_start(child.pid) is None
    child.wait()


def test_who_works_on_an_attempt_is_known_to_whoever_sees_the_folder(tmp_path):
    folder = tmp_path / "training"
    assert processes.read_worker(folder, 1) is None
    processes.announce(folder, 2, node="ab")
    processes.announce(folder, 10, node="cd")
    worker = processes.read_worker(folder, 2)
    assert (worker.pid, worker.host, worker.node) == (os.getpid(), socket.gethostname(), "ab")
    assert worker.started == processes.process_start(os.getpid())
    assert [each.attempt for each in processes.read_workers(folder)] == [2, 10]
    assert sorted(path.name for path in folder.iterdir()) == [
        "worker-0002.json",
        "worker-0010.json",
    ]


def test_a_file_that_tells_nothing_is_nobody(tmp_path):
    for text in ("", "{", "[]", json.dumps({"pid": 1})):
        (tmp_path / "worker-0001.json").write_text(text)
        assert processes.read_worker(tmp_path, 1) is None
    assert processes.read_workers(tmp_path) == []


def test_the_kernels_count_of_kills_is_a_number_or_unknown():
    kills = processes.kernel_oom_kills()
    assert kills is None or kills >= 0


def test_what_a_worker_was_writing_when_it_died_goes_with_a_later_one(tmp_path):
    left = tmp_path / ".worker.123"
    left.write_text('{"attempt"')
    long_ago = time.time() - 3600
    os.utime(left, (long_ago, long_ago))
    processes.announce(tmp_path, 2, node="ab")
    assert [path.name for path in tmp_path.iterdir()] == ["worker-0002.json"]


def test_where_the_storage_is_full_nothing_half_written_stays(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        processes.announce(tmp_path, 2, node="ab")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_announces_itself_leaves_another_that_does_so_too_alone(
    tmp_path, monkeypatch
):
    fsync, others = os.fsync, []

    def announce_another(descriptor):
        fsync(descriptor)
        if not others:
            others.append(1)
            processes.announce(tmp_path, 3, node="cd")

    monkeypatch.setattr(os, "fsync", announce_another)
    processes.announce(tmp_path, 2, node="ab")
    assert [each.node for each in processes.read_workers(tmp_path)] == ["ab", "cd"]
