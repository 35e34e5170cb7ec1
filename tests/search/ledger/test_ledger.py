import copy
import errno
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time

import pytest

from search.core.errors import EnvironmentSetupError
from search.core.lease import read_recorded_driver
from search.ledger.events import LedgerDamaged
from search.ledger.ledger import Ledger
from spkmodel.core.process_identity import boot_id
from tests.support.events import append


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trip" / "ledger.jsonl"


def _numbers(path):
    return [event.number for event in Ledger.open(path).events()]


def test_an_event_comes_back_with_its_time_and_its_search(path):
    with Ledger.open(path, write=True) as ledger:
        written = append(ledger, "note", text="é", nested={"a": [1, None]})
    assert list(Ledger.open(path).events()) == [written]
    assert written.event == "note"
    assert written.search == "trip"
    assert written.time.endswith("+00:00")
    assert len(written.time) == len("2026-11-22T10:00:00.123456+00:00")


def test_a_number_that_json_lacks_is_refused_and_nothing_is_written(path):
    with Ledger.open(path, write=True) as ledger:
        with pytest.raises(ValueError, match="not JSON compliant"):
            append(ledger, "report", trial="t0001", epoch=1, metrics={"dev_eer": float("nan")})
        assert path.read_bytes() == b""


def test_a_torn_last_line_is_invisible_and_cut_off_before_the_next_event(path):
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
    with path.open("ab") as file:
        file.write(b'{"event": "note", "num')
    assert _numbers(path) == [1]
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=2)
    assert _numbers(path) == [1, 2]


def _bytes_of_two_events(path):
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
        first = len(path.read_bytes())
        append(ledger, "note", number=2, text="é")
    raw = path.read_bytes()
    return raw[:first], raw[first:]


def test_whatever_part_of_the_last_line_a_power_cut_leaves_the_others_are_whole(path):
    first, last = _bytes_of_two_events(path)
    for length in range(len(last)):
        for tail in (last[:length], last[:length] + b"\0" * (len(last) - length)):
            path.write_bytes(first + tail)
            assert _numbers(path) == [1]
            if length % 20 in (0, 19):
                with Ledger.open(path, write=True) as ledger:
                    assert path.read_bytes() == first
                    append(ledger, "note", number=3)
                assert _numbers(path) == [1, 3]


def test_a_last_line_with_zeros_in_it_is_torn_and_an_earlier_one_is_damage(path):
    first, last = _bytes_of_two_events(path)
    for length in range(1, len(last)):
        torn = b"\0" * length + last[length:]
        path.write_bytes(first + torn)
        assert _numbers(path) == [1]
    with Ledger.open(path, write=True):
        assert path.read_bytes() == first
    path.write_bytes(first + torn + first)
    with pytest.raises(LedgerDamaged, match=r"ledger\.jsonl:2: not a ledger event"):
        _numbers(path)


def test_a_reader_comes_back_to_a_torn_line_that_was_written_anew(path):
    first, last = _bytes_of_two_events(path)
    path.write_bytes(first + b"\0" * 5 + last[5:])
    reader = Ledger.open(path)
    events, offset = reader.events_from(0)
    path.write_bytes(first + last)
    assert [event.number for event in events + reader.events_from(offset)[0]] == [1, 2]


class Disk:
    """What `os.write` and friends do to a ledger, until it is mended."""

    def __init__(self, monkeypatch, error, room=0, takes_back=True):
        self.broken = True
        really = {name: getattr(os, name) for name in ("write", "ftruncate")}

        def write(descriptor, data):
            if not self.broken:
                return really["write"](descriptor, data)
            if room:
                return really["write"](descriptor, data[:room])
            raise OSError(error, os.strerror(error))

        def ftruncate(descriptor, length):
            if self.broken and not takes_back:
                raise OSError(error, os.strerror(error))
            really["ftruncate"](descriptor, length)

        monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "ftruncate", ftruncate)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize(("room", "takes_back"), [(0, True), (7, True), (7, False)])
def test_an_event_waits_for_storage_that_refuses_and_is_then_written_whole_and_once(
    path, monkeypatch, error, room, takes_back
):
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
        disk = Disk(monkeypatch, error, room, takes_back)
        seen = []

        def patience(problem):
            seen.append((problem.errno, ledger.storage_error))
            disk.broken = len(seen) < 3

        ledger.set_retry_policy(patience)
        append(ledger, "note", number=2)
        assert ledger.storage_error is None
        append(ledger, "note", number=3)
    assert len(seen) == 3
    assert all(storage_error.errno == number for number, storage_error in seen)
    assert _numbers(path) == [1, 2, 3]


@pytest.mark.parametrize("takes_back", [True, False])
def test_after_giving_up_on_the_storage_the_ledger_is_sound(path, monkeypatch, takes_back):
    class Enough(Exception):
        pass

    def patience(problem):
        raise Enough from problem

    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
        disk = Disk(monkeypatch, errno.EIO, 7, takes_back)
        ledger.set_retry_policy(patience)
        for _ in range(2):
            with pytest.raises(Enough):
                append(ledger, "note", number=2)
        assert _numbers(path) == [1]
        disk.broken = False
        append(ledger, "note", number=3)
    assert _numbers(path) == [1, 3]


@pytest.mark.parametrize(
    "damage", [b"{half\n", b"[1]\n", b'{"event": "x"}\n', b"\0\0\n", b"\xff\n"]
)
def test_any_other_damage_is_an_error_with_its_line(path, damage):
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
    with path.open("ab") as file:
        file.write(damage)
        file.write(b'{"event": "note", "time": "", "search": ""}\n')
    with pytest.raises(LedgerDamaged, match=r"ledger\.jsonl:2: not a ledger event"):
        list(Ledger.open(path).events())


def test_a_reader_that_goes_on_from_its_offset_sees_each_event_once(path):
    with Ledger.open(path, write=True) as ledger:
        reader = Ledger.open(path)
        append(ledger, "note", number=1)
        first, offset = reader.events_from(0)
        assert reader.events_from(offset) == ([], offset)
        append(ledger, "note", number=2)
        second, _ = reader.events_from(offset)
    assert [event.number for event in first + second] == [1, 2]


def test_events_of_many_threads_stay_whole_while_they_are_read(path):
    with Ledger.open(path, write=True) as ledger:

        def write(writer):
            for number in range(20):
                append(ledger, "note", number=[writer, number], text="x" * 5000)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            _numbers(path)
        for thread in threads:
            thread.join()
    numbers = _numbers(path)
    assert len(numbers) == 80
    assert all([n for w, n in numbers if w == writer] == list(range(20)) for writer in range(4))


def test_there_is_one_driver_and_the_second_learns_which(path):
    with (
        Ledger.open(path, write=True),
        pytest.raises(
            EnvironmentSetupError, match=rf"process {os.getpid()} on {socket.gethostname()}"
        ),
    ):
        Ledger.open(path, write=True)
    with Ledger.open(path, write=True):
        pass
    assert read_recorded_driver(path.parent) is None


def test_of_many_that_open_at_once_one_drives(path):
    gate = threading.Barrier(8)
    held, refused = [], []

    def race():
        gate.wait()
        try:
            held.append(Ledger.open(path, write=True))
        except EnvironmentSetupError as problem:
            refused.append(problem)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 7)
    held[0].close()


_HOLD = """
import sys, time
from pathlib import Path
from search.ledger.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]), write=True)
sys.stdout.write("held\\n"); sys.stdout.flush()
time.sleep(60)
"""


def test_a_dead_owner_on_this_host_is_taken_over_at_once(path):
    owner = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "held\n"
    with pytest.raises(EnvironmentSetupError, match=f"process {owner.pid} "):
        Ledger.open(path, write=True)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert read_recorded_driver(path.parent).pid == owner.pid
    with Ledger.open(path, write=True):
        assert read_recorded_driver(path.parent).pid == os.getpid()


def _leave_owner(path, **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "driver.json").write_text(json.dumps(fields))


def test_an_owner_whose_pid_was_given_to_another_process_is_dead(path):
    started = f"{boot_id()}-1"
    _leave_owner(
        path, host=socket.gethostname(), pid=os.getppid(), started=started, lease_until=9e12
    )
    Ledger.open(path, write=True).close()


def test_a_driver_that_lost_its_lease_to_another_host_may_not_append(path, monkeypatch):
    monkeypatch.setattr("search.core.lock._RENEW_SECONDS", 0)
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
        _leave_owner(path, host="elsewhere", pid=1, started="0-1", lease_until=time.time() + 60)
        with pytest.raises(EnvironmentSetupError, match="elsewhere"):
            append(ledger, "note", number=2)
    assert _numbers(path) == [1]
    assert read_recorded_driver(path.parent).host == "elsewhere"


def test_a_copy_can_read_but_never_write(path):
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
        for other in (copy.deepcopy(ledger), pickle.loads(pickle.dumps(ledger))):
            assert [event.number for event in other.events()] == [1]
            with pytest.raises(AssertionError, match="reading"):
                append(other, "note", number=2)


def test_a_full_disk_leaves_a_whole_ledger_and_a_message(path, monkeypatch):
    with Ledger.open(path, write=True) as ledger:
        append(ledger, "note", number=1)
        real = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, line: real(descriptor, line[:9]))
            with pytest.raises(EnvironmentSetupError, match="No space left"):
                append(ledger, "note", number=2)
        append(ledger, "note", number=3)
    assert _numbers(path) == [1, 3]
    assert path.read_bytes().endswith(b"\n")


def test_a_folder_that_cannot_be_made_is_a_problem_of_the_environment(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentSetupError, match="SPKSEARCH_HOME"):
        Ledger.open(tmp_path / "file" / "trip" / "ledger.jsonl", write=True)
