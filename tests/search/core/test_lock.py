"""Who may drive, where another host drove last and no two clocks agree."""

import errno
import fcntl
import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.core import lease
from search.core import lock as lock_module
from search.core.errors import EnvironmentSetupError
from search.core.lease import DriverInfo, find_live_driver, read_recorded_driver, this_process
from search.core.lock import Lock
from spkmodel.core.process_identity import boot_id

LEASE = 0.4


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch):
    monkeypatch.setattr("search.core.lease.LEASE_SECONDS", LEASE)
    monkeypatch.setattr("search.core.driver_turns._POLL_SECONDS", 0.02)


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
    assert _seconds_to_acquire(tmp_path, say=said.append) == pytest.approx(LEASE, abs=0.3)
    (line,) = said
    assert "process 1 on elsewhere" in line
    assert read_recorded_driver(tmp_path) is None


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
        with pytest.raises(EnvironmentSetupError, match="driven by process 1 on elsewhere"):
            Lock.acquire(tmp_path)
    finally:
        alive.set()
        thread.join()
    assert read_recorded_driver(tmp_path).host == "elsewhere"
    assert _seconds_to_acquire(tmp_path) >= LEASE, "the one refused let go of the lock"


def test_a_driver_of_another_host_that_leaves_in_order_is_followed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("search.core.lease.LEASE_SECONDS", 60)
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
    assert _seconds_to_acquire(tmp_path) == pytest.approx(LEASE, abs=0.3)


def test_the_beat_of_a_driver_rises_with_every_renewal(tmp_path, monkeypatch):
    monkeypatch.setattr("search.core.lock._RENEW_SECONDS", 0)
    with Lock.acquire(tmp_path) as lock:
        first = read_recorded_driver(tmp_path).beat
        lock.renew()
        assert read_recorded_driver(tmp_path).beat == first + 1


def test_a_driver_of_another_host_that_gives_a_sign_of_life_as_it_is_looked_at_keeps_its_turn(
    tmp_path, monkeypatch
):
    """Of a claim that has not said yet whose it is nothing is known but that it is there."""
    (tmp_path / "turn-000001.json").touch()
    monkeypatch.setattr("search.core.lease.LEASE_SECONDS", 60)
    threading.Timer(0.1, _leave, (tmp_path, 0.0)).start()
    with pytest.raises(EnvironmentSetupError, match="driven by process 1 on elsewhere"):
        Lock.acquire(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"host": "x"}'])
def test_an_owner_that_cannot_be_read_is_outlasted_like_one_of_another_host(tmp_path, text):
    (tmp_path / "driver.json").write_text(text)
    said = []
    assert _seconds_to_acquire(tmp_path, say=said.append) >= LEASE
    assert "somebody unknown" in said[0]
    (tmp_path / "driver.json").write_text(text)
    threading.Timer(0.1, (tmp_path / "driver.json").write_text, (f"{text} ",)).start()
    with pytest.raises(EnvironmentSetupError, match="driven by another process"):
        Lock.acquire(tmp_path)


def test_an_owner_says_more_in_a_later_version_and_is_understood(tmp_path):
    _leave(tmp_path, time.time() + 60, beat=1, rank="captain")
    assert (read_recorded_driver(tmp_path).host, read_recorded_driver(tmp_path).beat) == (
        "elsewhere",
        1,
    )


@pytest.mark.parametrize("ahead", [-3600, 0, 3600])
def test_a_clock_that_is_off_by_an_hour_neither_kills_a_driver_nor_revives_it(tmp_path, ahead):
    _leave(tmp_path, time.time() + ahead)
    assert find_live_driver(tmp_path).host == "elsewhere"
    long_ago = time.time() - LEASE - 1
    os.utime(tmp_path / "driver.json", (long_ago, long_ago))
    assert find_live_driver(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["driver.json"]


def test_a_process_that_is_gone_is_not_alive(tmp_path):
    _leave(tmp_path, 9e12, host=socket.gethostname(), started=f"{boot_id()}-1")
    assert read_recorded_driver(tmp_path).pid == 1
    assert find_live_driver(tmp_path) is None


def test_who_holds_the_lock_only_to_write_down_a_word_is_waited_for(tmp_path):
    brief = Lock.acquire(tmp_path)
    threading.Timer(0.2, brief.release).start()
    Lock.acquire(tmp_path).release()
    with (
        Lock.acquire(tmp_path),
        pytest.raises(EnvironmentSetupError, match=f"process {os.getpid()}"),
    ):
        Lock.acquire(tmp_path)


def test_who_only_writes_something_down_is_no_driver_and_is_not_robbed_either(tmp_path):
    with Lock.acquire(tmp_path, drives=False):
        assert find_live_driver(tmp_path) is None
        assert read_recorded_driver(tmp_path).pid == os.getpid()
        with pytest.raises(
            EnvironmentSetupError, match=r"writes something down about .*; try again"
        ):
            Lock.acquire(tmp_path)


def test_one_that_was_robbed_takes_nothing_from_its_robbers_heirs(tmp_path, monkeypatch):
    monkeypatch.setattr("search.core.lock._RENEW_SECONDS", 0)
    robbed = Lock.acquire(tmp_path)
    _leave(tmp_path, 0.0)
    (tmp_path / "turn-000001.json").write_text((tmp_path / "driver.json").read_text())
    with pytest.raises(EnvironmentSetupError, match="process 1 on elsewhere"):
        robbed.renew()
    robbed.release()
    assert read_recorded_driver(tmp_path).host == "elsewhere"
    assert (tmp_path / "turn-000001.json").is_file()


def test_a_later_turn_ends_an_earlier_one_though_the_beat_is_not_written_yet(tmp_path, monkeypatch):
    monkeypatch.setattr("search.core.lock._RENEW_SECONDS", 0)
    with Lock.acquire(tmp_path) as held:
        (tmp_path / "turn-000002.json").touch()
        with pytest.raises(EnvironmentSetupError, match="another process, just starting"):
            held.renew()


def test_a_file_system_without_locks_is_locked_by_turns(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Lock.acquire(tmp_path):
        assert find_live_driver(tmp_path).pid == os.getpid()
    assert find_live_driver(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["driver.lock"]


# --- two machines at the same moment -----------------------------------------------------------


class Machine(threading.Thread):
    """One that wants to drive; it does one thing with the storage each time it may."""

    def __init__(self, name, folder):
        super().__init__(name=name, daemon=True)
        self.folder = folder
        self.may, self.stands = threading.Semaphore(0), threading.Event()
        self.knows, self.may_leave = threading.Event(), threading.Event()
        self.free = False
        self.problem = ""

    def run(self):
        try:
            with Lock.acquire(self.folder, lambda _: None) as held:
                self.knows.set()
                while not self.may_leave.wait(LEASE / 20):
                    held.renew()
        except EnvironmentSetupError as problem:
            self.problem = str(problem)
        finally:
            self.knows.set()
            self.stands.set()

    def before_it_touches_the_storage(self):
        if not self.free:
            self.stands.set()
            self.may.acquire()

    def go_one_step(self):
        if self.is_alive():
            self.stands.clear()
            self.may.release()
            self.stands.wait(5)

    def go_free(self):
        self.free = True
        self.may.release()


def _hook(event, args):
    del args
    machine = threading.current_thread()
    if isinstance(machine, Machine) and event in ("open", "os.scandir", "os.rename", "os.remove"):
        machine.before_it_touches_the_storage()


@pytest.fixture(scope="module")
def step_by_step():
    """What a `Machine` does with the storage is done a step at a time."""
    sys.addaudithook(_hook)  # Python takes none back; of other threads it hears nothing


@pytest.fixture
def machines(monkeypatch, step_by_step):
    """Threads that pass for machines whose locks the storage does not carry."""
    del step_by_step

    def me():
        return DriverInfo(threading.current_thread().name, os.getpid(), here.started, 0.0)

    here = this_process()
    monkeypatch.setattr(lease, "this_process", me)
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    is_here = property(lambda self: self.host == threading.current_thread().name)
    monkeypatch.setattr(DriverInfo, "is_of_this_host", is_here)
    monkeypatch.setattr("search.core.lease.LEASE_SECONDS", LEASE / 4)
    monkeypatch.setattr("search.core.lock._RENEW_SECONDS", 0)


def _race(folder, order):
    """What each is told, if machine 1 goes on wherever `order` says so, else machine 2."""
    both = [Machine(f"machine {number}", folder) for number in (1, 2)]
    for each in both:
        each.start()
        each.stands.wait(5)
    for first in order:
        both[0 if first else 1].go_one_step()
    for each in both:
        each.go_free()
    for each in both:
        assert each.knows.wait(10)
    for each in both:
        each.may_leave.set()
        each.join(10)
        assert not each.is_alive()
    return [each.problem for each in both]


ORDERS = st.lists(st.booleans(), max_size=30)


@pytest.mark.usefixtures("machines")
@pytest.mark.parametrize("left_behind", [False, True], ids=["a new search", "a dead driver's"])
def test_of_two_launches_in_the_same_moment_on_two_machines_one_drives(left_behind):
    examples = 10 if left_behind else 40

    @settings(max_examples=examples, deadline=None)
    @given(order=ORDERS)
    def whatever_the_order(order):
        with tempfile.TemporaryDirectory() as name:
            if left_behind:
                _leave(Path(name), time.time() + 3600, beat=3)
            told = sorted(_race(Path(name), order))
        assert told[0] == "", "one drives"
        assert "is driven by" in told[1]

    whatever_the_order()


def test_a_folder_that_is_renamed_or_replaced_ends_the_right_to_drive(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "_RENEW_SECONDS", 0.0)
    folder, moved = tmp_path / "night", tmp_path / "moved"
    folder.mkdir()
    with Lock.acquire(folder) as held:
        held.renew()
        folder.rename(moved)
        with pytest.raises(EnvironmentSetupError, match=r"'night' was renamed, moved or removed"):
            held.renew()
        folder.mkdir()  # as a worker does that writes its log
        with pytest.raises(EnvironmentSetupError, match="give the folder its name back"):
            held.renew()
        folder.rmdir()
        moved.rename(folder)
        held.renew()
