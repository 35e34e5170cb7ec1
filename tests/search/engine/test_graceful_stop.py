import threading
import time

import pytest

from search.core.errors import UsageError
from search.engine import graceful_stop
from search.engine.graceful_stop import GRACE, GracefulStop, grace_of_environment

ONE, TWO = ("t0001", 1), ("t0002", 3)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("leave-*"))


def _wait(condition):
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_all_are_told_and_waited_for_until_each_has_spoken_or_is_gone(tmp_path):
    clock = Clock()
    leaving = GracefulStop(tmp_path, [ONE, TWO], 10.0, clock)
    _wait(lambda: _files(tmp_path) == ["trials/t0001/leave-0001", "trials/t0002/leave-0003"])
    assert leaving.is_waiting_for([ONE, TWO])
    leaving.acknowledge(ONE)
    assert leaving.is_waiting_for([ONE, TWO])
    assert not leaving.is_waiting_for([ONE]), "the other one has died"
    assert leaving.unanswered == {TWO}
    leaving.acknowledge(TWO)
    assert not leaving.is_waiting_for([ONE, TWO])
    leaving.close()
    assert _files(tmp_path) == []


def test_the_silent_are_cut_within_three_seconds_and_given_up_after_the_grace(tmp_path):
    clock = Clock()
    leaving = GracefulStop(tmp_path, [ONE], 10.0, clock)
    seen = {}
    for seconds in (0.0, 1.9, 2.9, 9.9, 10.0):
        clock.now = 100.0 + seconds
        seen[seconds] = (leaving.is_interruption_due, leaving.is_waiting_for([ONE]))
    leaving.close()
    assert seen == {
        0.0: (False, True),
        1.9: (False, True),
        2.9: (True, True),
        9.9: (True, True),
        10.0: (True, False),
    }


def test_without_a_grace_nobody_is_told_and_all_are_cut_at_once(tmp_path):
    leaving = GracefulStop(tmp_path, [ONE], 0.0, Clock())
    assert (leaving.is_interruption_due, leaving.is_waiting_for([ONE])) == (True, False)
    leaving.close()
    assert _files(tmp_path) == []


def test_a_storage_that_does_not_answer_holds_no_driver_up(tmp_path, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(graceful_stop.stop_flag, "request_stop", lambda *_: answers.wait(10))
    monkeypatch.setattr(graceful_stop, "_CLEAR_SECONDS", 0.05)
    began = time.monotonic()
    leaving = GracefulStop(tmp_path, [ONE], 10.0)
    assert leaving.is_waiting_for([ONE])
    leaving.close()
    assert time.monotonic() - began < 3
    answers.set()


def test_the_grace_is_the_environments_or_ten_seconds(monkeypatch):
    monkeypatch.delenv(GRACE, raising=False)
    assert grace_of_environment() == 10.0
    for text, seconds in (("0", 0.0), ("2.5", 2.5), ("120", 120.0)):
        monkeypatch.setenv(GRACE, text)
        assert grace_of_environment() == seconds
    for text in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv(GRACE, text)
        with pytest.raises(UsageError, match=f"{GRACE} must be .*{text}"):
            grace_of_environment()
