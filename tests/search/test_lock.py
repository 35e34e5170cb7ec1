"""Who may drive, where another host drove last and no two clocks agree."""

import json
import socket
import threading
import time

import pytest

from search.errors import EnvironmentProblem
from search.lock import DriverInfo, Lock, driver_of
from spkmodel.processes import boot_id

LEASE = 0.6


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch):
    monkeypatch.setattr("search.lock.LEASE_SECONDS", LEASE)
    monkeypatch.setattr("search.lock._LOOK_SECONDS", 0.02)


def _leave(folder, lease_until, host="elsewhere", started="0-1", **beat):
    owner = {"host": host, "pid": 1, "started": started, "lease_until": lease_until, **beat}
    beside = folder / "driver.json.beside"
    beside.write_text(json.dumps(owner))
    beside.replace(folder / "driver.json")


def _seconds_to_acquire(folder, **options):
    began = time.monotonic()
    Lock.acquire(folder, **options).release()
    return time.monotonic() - began


@pytest.mark.parametrize("ahead", [-3600, 0, 3600])
@pytest.mark.parametrize("beat", [{}, {"beat": 7}], ids=["written by the first version", "now"])
def test_a_silent_driver_of_another_host_is_outlasted_whatever_its_clock_says(
    tmp_path, ahead, beat
):
    _leave(tmp_path, time.time() + ahead, **beat)
    said = []
    assert _seconds_to_acquire(tmp_path, say=said.append) == pytest.approx(LEASE, abs=0.4)
    (line,) = said
    assert "process 1 on elsewhere" in line
    assert driver_of(tmp_path) is None


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_driver_of_another_host_that_gives_a_sign_of_life_is_not_robbed(tmp_path, ahead):
    _leave(tmp_path, time.time() + ahead, beat=1)
    alive = threading.Event()

    def live():
        beat = 1
        while not alive.wait(LEASE / 3):
            beat += 1
            _leave(tmp_path, time.time() + ahead, beat=beat)

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(EnvironmentProblem, match="driven by process 1 on elsewhere"):
            Lock.acquire(tmp_path)
    finally:
        alive.set()
        thread.join()
    assert driver_of(tmp_path).host == "elsewhere"
    assert _seconds_to_acquire(tmp_path) >= LEASE, "the one refused let go of the lock"


def test_a_driver_of_another_host_that_leaves_in_order_is_followed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("search.lock.LEASE_SECONDS", 60)
    _leave(tmp_path, time.time() + 60)
    timer = threading.Timer(0.2, (tmp_path / "driver.json").unlink)
    timer.start()
    assert _seconds_to_acquire(tmp_path) < 5
    timer.join()


def test_another_machine_of_the_same_name_is_another_host(tmp_path):
    _leave(tmp_path, time.time(), host=socket.gethostname(), started="00000000-1")
    assert _seconds_to_acquire(tmp_path) >= LEASE
    _leave(tmp_path, time.time() + 60, host=socket.gethostname(), started=f"{boot_id()}-1")
    assert _seconds_to_acquire(tmp_path) < LEASE, "the kernel here knows that it is dead"


def test_a_clock_that_is_set_while_it_waits_neither_shortens_nor_lengthens_the_wait(
    tmp_path, monkeypatch
):
    real, began = time.time, time.monotonic()
    _leave(tmp_path, real() + 60)
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * (time.monotonic() - began > 0.2))
    assert _seconds_to_acquire(tmp_path) == pytest.approx(LEASE, abs=0.4)


def test_the_beat_of_a_driver_rises_with_every_renewal(tmp_path, monkeypatch):
    monkeypatch.setattr("search.lock._RENEW_SECONDS", 0)
    with Lock.acquire(tmp_path) as lock:
        first = driver_of(tmp_path).beat
        lock.renew()
        assert driver_of(tmp_path).beat == first + 1


def test_a_process_that_is_gone_is_not_alive():
    gone = DriverInfo(socket.gethostname(), 2**22 + 1, f"{boot_id()}-1", 9e12)
    assert not gone.is_alive()
