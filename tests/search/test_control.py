import json
import socket
import time

import pytest
from story import Story

from search import control
from search.errors import NotFound, UsageProblem
from search.ledger import Ledger
from search.lock import driver_of


@pytest.fixture
def folder(spksearch_home):
    """A search of two trials that nobody drives: t0001 waits at rung 1, t0002 was cut off."""
    tale = Story()
    tale.train(tale.trial(), 1, 0.3)
    tale.segment(tale.trial(), 1)
    folder = spksearch_home / "trip"
    folder.mkdir()
    lines = [json.dumps(event) + "\n" for event in tale.events]
    (folder / "ledger.jsonl").write_text("".join(lines))
    return folder


def _trial(folder, name):
    return Ledger.open(folder / "ledger.jsonl").trials()[name]


def test_a_request_reaches_the_driver_whole_and_in_order(folder):
    with Ledger.open(folder / "ledger.jsonl", write=True):
        assert control.request_stop("trip", "t0002", now=True) == "asked"
        assert control.request_stop("trip", None, now=False) == "asked"
    requests = control.pending(folder)
    assert [(request.trial, request.now) for request in requests] == [
        ("t0002", True),
        (None, False),
    ]
    assert all(request.by for request in requests)
    assert control.pending(folder / "elsewhere") == []


@pytest.mark.parametrize("trial", ["t0001", "t0002"])
def test_a_trial_that_nobody_drives_is_stopped_on_the_spot(folder, trial):
    assert control.request_stop("trip", trial, now=False) == "recorded"
    assert (_trial(folder, trial).state, _trial(folder, trial).ended_by) == ("killed", "user")
    assert control.pending(folder) == []
    assert driver_of(folder) is None


@pytest.mark.usefixtures("folder")
def test_there_is_nothing_to_stop_twice_or_without_a_driver():
    control.request_stop("trip", "t0001", now=False)
    with pytest.raises(UsageProblem, match=r"t0001 of search 'trip' has ended already \(killed\)"):
        control.request_stop("trip", "t0001", now=False)
    with pytest.raises(UsageProblem, match="not running"):
        control.request_stop("trip", None, now=False)


def test_an_unknown_search_or_trial_is_not_found(folder):
    with pytest.raises(NotFound, match="no trial 't0009'"):
        control.request_stop("trip", "t0009", now=False)
    with pytest.raises(NotFound, match=f"no search {'trap'!r}.*{folder.name}"):
        control.request_stop("trap", None, now=False)


def test_a_driver_is_alive_while_it_holds_the_lock(folder):
    assert control.driver_alive(folder) is None
    with Ledger.open(folder / "ledger.jsonl", write=True):
        assert control.driver_alive(folder).host == socket.gethostname()
    assert control.driver_alive(folder) is None
    gone = {"host": "elsewhere", "pid": 1, "started": "0-1", "lease_until": time.time() - 1}
    (folder / "driver.json").write_text(json.dumps(gone))
    assert control.driver_alive(folder) is None
