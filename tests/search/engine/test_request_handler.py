"""What becomes of a request, with a driver and without one."""

import threading
import time

import pytest

from search.core.errors import NotFound, UsageError
from search.core.lease import read_recorded_driver, this_process
from search.engine import request_handler
from search.engine.request_handler import ask, event_of_request
from search.ledger.events import ReplayedNotebook
from search.ledger.ledger import Ledger
from search.requests import mailbox
from search.requests.mailbox import identity
from search.requests.messages import Add, Budget, Pause, Stop, Unpause
from search.scheduler.audit import find_wrong_decisions
from spkmodel.config import AdamW, TrainConfig
from tests.support.controller_rig import ControllerRig
from tests.support.events import append
from tests.support.scripted_search import ScriptedSearch

BY = "anna@here"
ME = identity(this_process())


@pytest.fixture
def folder(spksearch_home):
    """A search of two trials that nobody drives: t0001 waits at rung 1, t0002 was cut off."""
    tale = ScriptedSearch()
    tale.train(tale.trial(), 1, 0.3)
    tale.segment(tale.trial(), 1)
    folder = spksearch_home / "trip"
    folder.mkdir()
    lines = [event.model_copy(update={"search": "trip"}).to_line() + "\n" for event in tale.events]
    (folder / "ledger.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def rig(spksearch_home):
    made = ControllerRig(spksearch_home / "trip")
    yield made
    made.ledger.close()


def _state(folder):
    return Ledger.open(folder / "ledger.jsonl").state()


def _sent(rig, *requests):
    """Have the driver look at these; the last events of the ledger."""
    for request in requests:
        mailbox.write(rig.folder, request)
    rig.driver._requests._polled = 0.0
    rig.driver.poll()
    assert mailbox.pending(rig.folder) == []
    assert rig.ledger.state() == rig.state
    return list(rig.ledger.events())[-len(requests) :]


def _reasons(folder):
    return [each.read_text() for each in sorted((folder / "control" / "refused").glob("*.reason"))]


def _config(rate):
    return TrainConfig(optimiser=AdamW(learning_rate=rate)).model_dump(mode="json")


# --- without a driver ------------------------------------------------------------------------


@pytest.mark.parametrize("trial", ["t0001", "t0002"])
def test_a_trial_that_nobody_drives_is_stopped_on_the_spot(folder, trial):
    assert ask("trip", Stop(by=BY, trial=trial)) == "recorded"
    record = _state(folder).trials[trial]
    assert (record.state, record.ended_by) == ("killed", "user")
    assert mailbox.pending(folder) == []
    assert read_recorded_driver(folder) is None
    with pytest.raises(UsageError, match=rf"{trial} of search 'trip' has ended already"):
        ask("trip", Stop(by=BY, trial=trial))


def test_a_trial_that_only_a_budget_ended_can_be_stopped_for_good(folder):
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        end = {"state": "stopped", "reason": "asked to stop", "by": "budget", "kind": "", "rung": 1}
        append(ledger, "end", trial="t0001", **end)
        append(ledger, "finish", reason="asked to stop", totals={})
    assert ask("trip", Stop(by=BY, trial="t0001")) == "recorded"
    record = _state(folder).trials["t0001"]
    assert (record.state, record.ended_by) == ("killed", "user")
    with pytest.raises(UsageError, match="has ended already"):
        ask("trip", Stop(by=BY, trial="t0001"))


def test_a_search_that_has_finished_says_so_when_it_is_asked_to_stop(folder):
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        append(ledger, "finish", reason="all trials are done", totals={})
    with pytest.raises(UsageError, match="has finished: nothing to stop; launching it again with"):
        ask("trip", Stop(by=BY))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("request_", "nothing"),
    [(Stop(by=BY), "to stop"), (Pause(by=BY), "to pause"), (Unpause(by=BY), "to resume")],
)
def test_without_a_driver_there_is_nothing_to_stop_pause_or_resume(request_, nothing):
    with pytest.raises(UsageError, match=f"not running: nothing {nothing}; launching it again"):
        ask("trip", request_)


def test_an_unknown_search_or_trial_is_not_found(folder):
    with pytest.raises(NotFound, match="no trial 't0009'"):
        ask("trip", Stop(by=BY, trial="t0009"))
    with pytest.raises(NotFound, match=f"no search {'trap'!r}.*{folder.name}"):
        ask("trap", Stop(by=BY))


def test_budgets_and_wishes_are_recorded_for_the_next_driver(folder):
    assert ask("trip", Budget(by=BY, trials=48, max_epochs=27)) == "recorded"
    assert ask("trip", Add(by=BY, config=_config(0.5), origin="added: by hand")) == "recorded"
    state = _state(folder)
    assert (state.search.trials, state.rungs) == (48, (1, 3, 9, 27))
    assert (state.search.by, state.search.eta, state.search.hours) == (BY, 3, None)
    (wish,) = state.queue.values()
    assert (wish.origin, wish.config) == ("added: by hand", _config(0.5))
    event = list(Ledger.open(folder / "ledger.jsonl").events())[-1]
    assert (event.event, event.by) == ("queued", BY)


# --- what a driver does ----------------------------------------------------------------------


def test_a_pause_starts_nothing_new_and_its_end_goes_on(rig):
    rig.driver.next_segment()
    (event,) = _sent(rig, Pause(by=BY, driver=ME))
    assert (event.event, event.cause, event.by) == ("hold", "user", BY)
    assert rig.state.holds == {"user": f"paused by {BY}"}
    assert rig.report_epoch("t0001"), "what is running goes on to its rung"
    assert rig.driver.next_segment() == "wait"
    _sent(rig, Pause(by="bob@there", driver=ME), Unpause(by="bob@there", driver=ME))
    already = f"search 'trip' is paused by {BY} already; spksearch resume trip ends that\n"
    assert _reasons(rig.folder) == [already]
    assert rig.state.holds == {}
    trial, _ = rig.driver.next_segment()
    assert trial.trial == "t0002"
    _sent(rig, Unpause(by=BY, driver=ME))
    assert "not paused: nothing to resume" in _reasons(rig.folder)[-1]


def test_a_paused_search_whose_hours_are_used_or_that_is_stopped_still_ends(spksearch_home):
    rig = ControllerRig(spksearch_home / "trip", hours=1.0)
    rig.driver.next_segment()
    rig.report_epoch("t0001")
    _sent(rig, Pause(by=BY, driver=ME))
    assert rig.driver.next_segment() == "wait"
    rig.clock += 3601
    assert rig.driver.next_segment() == "done"
    rig.driver.finish()
    assert rig.state.finish.reason == "1 hours used"
    rig.ledger.close()


def test_what_was_asked_of_an_earlier_driver_is_refused_and_put_aside(rig):
    ghost = "elsewhere 1 0-1"
    for request in (Stop(by=BY, driver=ghost), Pause(by=BY, driver=ghost), Unpause(by=BY)):
        _sent(rig, request)
    assert (rig.state.search_stop, rig.state.holds) == ("", {})
    assert [reason.partition(" of")[0] for reason in _reasons(rig.folder)] == [
        "stop was asked",
        "pause was asked",
        "resume was asked",
    ]
    assert all("an earlier driver of search 'trip'" in each for each in _reasons(rig.folder))


def test_nothing_malformed_harms_a_driver(rig):
    place = rig.folder / "control"
    place.mkdir()
    (place / "1.json").write_text('{"kind": "stop"')
    (place / "2.json").mkdir()
    (place / "3.json").write_text('{"kind": "add", "by": "x", "config": {}, "origin": ""}')
    wrong = {"optimizer": {"learning_rate": 1}}
    mailbox.write(rig.folder, Add(by=BY, config=wrong, origin="added: x"))
    mailbox.write(rig.folder, Stop(by=BY, trial="t0404"))
    before = list(rig.ledger.events())
    rig.driver.poll()
    assert list(rig.ledger.events()) == before
    assert mailbox.pending(rig.folder) == []
    reasons = _reasons(rig.folder)
    assert len(reasons) == 5
    assert any("did you mean optimiser" in each or "optimizer" in each for each in reasons)


def test_a_request_that_cannot_be_put_aside_is_no_harm_either(rig):
    (rig.folder / "control").mkdir()
    (rig.folder / "control" / "refused").write_text("in the way")
    mailbox.write(rig.folder, Stop(by=BY, trial="t0404"))
    rig.driver.poll()
    assert len(mailbox.pending(rig.folder)) == 1


def test_a_raised_budget_of_trials_is_followed_at_once(rig):
    for number in range(4):
        trial, _ = rig.driver.next_segment()
        if number < 3:
            rig.report_epoch(trial.trial, dev_eer=0.1 * (number + 1))
    (event,) = _sent(rig, Budget(by=BY, trials=5))
    assert (event.event, event.trials, event.by) == ("search", 5, BY)
    assert event.eta == 3, "an event is complete in itself"
    begun = [rig.driver.next_segment()[0].trial for _ in range(2)]
    assert begun == ["t0004", "t0005"]
    _sent(rig, Budget(by=BY, trials=5))
    assert "has these budgets already: trials 5" in _reasons(rig.folder)[0]
    assert find_wrong_decisions(rig.ledger.events()) == []


def test_a_budget_below_what_is_done_begins_nothing_new_and_undoes_nothing(rig):
    for number in range(2):
        rig.driver.next_segment()
        rig.report_epoch(f"t000{number + 1}", dev_eer=0.1 * (number + 1))
    _sent(rig, Budget(by=BY, trials=1))
    assert len(rig.state.trials) == 2
    trial, _ = rig.driver.next_segment()
    assert (trial.trial, trial.target) == ("t0001", 3)
    assert rig.driver.next_segment() == "wait"


def test_epochs_raised_move_the_rungs_and_epochs_lowered_end_a_trial_that_is_beyond(rig):
    rig.driver.next_segment()
    rig.report_epoch("t0001", dev_eer=0.1)
    _sent(rig, Budget(by=BY, trials=1, max_epochs=9))
    trial, _ = rig.driver.next_segment()
    assert (rig.state.rungs, trial.target) == ((1, 3, 9), 3)
    _sent(rig, Budget(by=BY, max_epochs=2))
    assert rig.state.rungs == (1, 2)
    assert rig.report_epoch("t0001", attempt=2, epoch=2, dev_eer=0.09)
    assert (trial.state, trial.epoch) == ("complete", 2)
    assert rig.driver.next_segment() == "done"
    assert find_wrong_decisions(rig.ledger.events()) == []


def test_hours_raised_keep_a_search_from_ending(spksearch_home):
    rig = ControllerRig(spksearch_home / "trip", hours=1.0)
    rig.clock += 3601
    _sent(rig, Budget(by=BY, hours=2.0))
    assert rig.driver.next_segment() != "done"
    rig.ledger.close()


def test_a_budget_of_a_replay_may_be_its_hours_and_its_slots_but_not_its_entries(rig):
    rig.change(
        replay=ReplayedNotebook(notebook="logged", scale="1/4", command="spksearch replay 116")
    )
    with pytest.raises(UsageError, match=r"'trip' is a replay.*--max-epochs"):
        event_of_request(rig.state, Budget(by=BY, max_epochs=9), ME)
    event = event_of_request(rig.state, Budget(by=BY, hours=3, concurrent=2), ME)
    assert (event.hours, event.concurrent) == (3, 2)


def test_an_added_config_is_tried_next_and_told_to_the_sampler_if_it_is_a_point(rig):
    point, other = _config(4e-3), _config(0.123)
    _sent(
        rig,
        Add(by=BY, config=point, origin="added: a point"),
        Add(by=BY, config=other, origin="added: none", axes={"trial": "t0001"}),
    )
    first, _ = rig.driver.next_segment()
    assert (first.origin, first.axes, first.config) == ("added: a point", {"rate": 4e-3}, point)
    assert list(first.distributions) == ["rate"]
    second, _ = rig.driver.next_segment()
    assert (second.axes, second.distributions) == ({"trial": "t0001"}, {})
    assert second.config == other
    _sent(rig, Add(by=BY, config=point, origin="added: again"))
    assert (
        "trial t0001 of search 'trip' has this config already (running)" in _reasons(rig.folder)[0]
    )


def test_a_config_waits_for_its_turn_once(rig):
    wanted = Add(by=BY, config=_config(0.123), origin="added: x")
    _sent(rig, Pause(by=BY, driver=ME), wanted, wanted)
    assert len(rig.state.queue) == 1
    assert "waits for its turn" in _reasons(rig.folder)[0]


def test_what_comes_too_late_is_answered_and_what_the_next_driver_can_do_waits(rig):
    rig.driver.next_segment()
    rig.report_epoch("t0001")
    mailbox.write(rig.folder, Pause(by=BY, driver=ME))
    mailbox.write(rig.folder, Budget(by=BY, trials=9))
    rig.driver.finish()
    assert _reasons(rig.folder) == ["the search had come to its end before\n"]
    assert [each.read() for each in mailbox.pending(rig.folder)] == [Budget(by=BY, trials=9)]


# --- asked from elsewhere --------------------------------------------------------------------


def test_who_asks_a_running_search_is_told_whether_it_was_done(rig, monkeypatch):
    monkeypatch.setattr(request_handler, "PATIENCE_SECONDS", 10.0)
    ended = threading.Event()

    def drive():
        while not ended.wait(0.01):
            rig.driver.poll()

    driver = threading.Thread(target=drive)
    driver.start()
    try:
        began = time.monotonic()
        assert ask("trip", Pause(by=BY)) == "done"
        assert time.monotonic() - began < 5
        with pytest.raises(UsageError, match="paused by"):
            ask("trip", Pause(by=BY))
        assert ask("trip", Budget(by=BY, trials=9)) == "done"
    finally:
        ended.set()
        driver.join()
    monkeypatch.setattr(request_handler, "PATIENCE_SECONDS", 0.0)
    assert ask("trip", Unpause(by=BY)) == "asked"
    assert len(mailbox.pending(rig.folder)) == 1
    assert rig.state.search.trials == 9
