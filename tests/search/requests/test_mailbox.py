"""Requests on their way: whole when a driver reads them, and not trusted otherwise."""

import os
import socket
import threading

import pytest

from search.core.lease import find_live_driver
from search.ledger.ledger import Ledger
from search.requests import mailbox
from search.requests.messages import Budget, Pause, Stop, read, who


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "trip").mkdir()
    return tmp_path / "trip"


def test_requests_reach_the_driver_whole_and_in_order(folder):
    asked = [
        Stop(by="anna@here", trial="t0002", now=True),
        Budget(by="anna@here", trials=48, hours=1.5),
        Pause(by="bob@there", driver="here 1 0-1"),
    ]
    for request in asked:
        mailbox.write(folder, request)
    assert [each.read() for each in mailbox.pending(folder)] == asked
    assert not [path for path in (folder / "control").iterdir() if path.name.startswith(".")]
    assert mailbox.pending(folder / "elsewhere") == []
    assert who().endswith(f"@{socket.gethostname()}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Invalid JSON"),
        (b'{"kind": "sto', "Invalid JSON"),
        (b'["stop"]', "should be an object"),
        (b'{"trial": null, "now": true, "by": "an older version"}', "kind"),
        (b'{"kind": "explode", "by": "anna"}', "explode"),
        (b'{"kind": "stop", "by": "anna", "trail": "t0001"}', "stop.trail"),
        (b'{"kind": "stop", "by": "anna", "trial": 7}', "stop.trial"),
        (b'{"kind": "budget", "by": "anna", "trials": "48"}', "budget.trials"),
        (b'{"kind": "budget", "by": "anna", "hours": 1e999}', "budget.hours"),
        (b'{"kind": "budget", "by": "anna", "max_epochs": 0}', "budget.max_epochs"),
        (b'{"kind": "pause", "by": ""}', "pause.by"),
        (b'{"kind": "pause"}', "pause.by"),
    ],
)
def test_what_is_no_request_is_told_by_its_field(text, reason):
    with pytest.raises(ValueError, match=reason):
        read(text)


def test_a_file_that_is_none_is_not_read(folder):
    place = folder / "control"
    place.mkdir()
    os.mkfifo(place / "1-fifo.json")
    (place / "2-link.json").symlink_to("/etc/hostname")
    (place / "3-large.json").write_bytes(b" " * (1 << 20) + b" {}")
    (place / "4-folder.json").mkdir()
    for each in mailbox.pending(folder):
        with pytest.raises(ValueError, match=r"no plain file|larger than"):
            each.read()
        each.refuse("it is none")
    assert mailbox.pending(folder) == []
    assert len(list((place / "refused").glob("*.reason"))) == 4


def test_who_asks_hears_what_has_become_of_it(folder):
    with Ledger.open(folder / "ledger.jsonl", write=True):
        done, refused, open_still = (
            mailbox.write(folder, Stop(by="anna", trial=name)) for name in ("a", "b", "c")
        )
        threading.Timer(0.1, done.done).start()
        refused.refuse("no such trial")
        assert mailbox.answer(done, 5) == ""
        assert mailbox.answer(refused, 5) == "no such trial"
        assert mailbox.answer(open_still, 0) is None
    assert mailbox.answer(open_still, 60) is None, "nobody drives: there is no answer to wait for"


def test_a_driver_is_alive_while_it_holds_the_lock(folder):
    assert find_live_driver(folder) is None
    with Ledger.open(folder / "ledger.jsonl", write=True):
        assert find_live_driver(folder).host == socket.gethostname()
    assert find_live_driver(folder) is None
