import threading
import time
from pathlib import Path

import pytest

from spkmodel.worker import stop_flag
from spkmodel.worker.stop_flag import StopFlag


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(stop_flag, "POLL_SECONDS", 0.01)


def _comes(word, seconds=5.0):
    end = time.monotonic() + seconds
    while not word() and time.monotonic() < end:
        time.sleep(0.005)
    return word()


def test_the_word_comes_to_the_attempt_that_is_meant_and_to_no_other(tmp_path):
    with StopFlag(tmp_path / "one", 1) as first, StopFlag(tmp_path / "one", 2) as second:
        stop_flag.request_stop(tmp_path / "one", 2)
        assert _comes(second)
        assert not first()
    stop_flag.clear_request(tmp_path / "one", 2)
    assert list((tmp_path / "one").iterdir()) == []
    stop_flag.clear_request(tmp_path / "one", 2)


def test_a_word_that_was_there_before_is_heard(tmp_path):
    stop_flag.request_stop(tmp_path, 3)
    with StopFlag(tmp_path, 3) as word:
        assert _comes(word)


def test_a_storage_in_trouble_is_looked_at_again_and_holds_nobody_up(tmp_path, monkeypatch):
    answers = threading.Event()
    listed = Path.iterdir
    looks = []

    def iterdir(self):
        if self != tmp_path:
            return listed(self)
        looks.append(self)
        if len(looks) == 1:
            raise OSError(5, "Input/output error")
        assert answers.wait(10)
        return listed(self)

    stop_flag.request_stop(tmp_path, 1)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    began = time.monotonic()
    with StopFlag(tmp_path, 1) as word:
        while len(looks) < 2:
            time.sleep(0.005)
        assert not word()
    assert time.monotonic() - began < 5, "a look that does not end was waited for"
    answers.set()
    assert _comes(word)


def test_nobody_looks_once_it_is_over(tmp_path):
    with StopFlag(tmp_path, 1) as word:
        pass
    time.sleep(0.05)
    stop_flag.request_stop(tmp_path, 1)
    time.sleep(0.05)
    assert not word()
