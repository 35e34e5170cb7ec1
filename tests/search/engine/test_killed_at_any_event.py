"""A driver may be killed between any two of its words: what the next one makes of that."""

from collections import Counter

import pytest

from search.core.lease import find_live_driver, this_process
from search.engine import request_handler
from search.engine.request_handler import ask
from search.launch import launch
from search.ledger.formats import parse
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.requests import mailbox, messages
from search.requests.mailbox import identity
from search.requests.messages import Add, Budget, Pause, Stop
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.rung_queries import rung_results
from spkmodel.config import AdamW, TrainConfig
from tests.support.controller_rig import ControllerRig

RATES = {1e-3: 0.3, 2e-3: 0.1, 3e-3: 0.2, 4e-3: 0.25, 5e-3: 0.15}


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)


def _go_on(rig, most=100):
    """Train what the driver hands out, to the end."""
    for _ in range(most):
        job = rig.driver.next_segment()
        if job == "done":
            rig.driver.finish()
            return
        trial, config = job
        eer = RATES[trial.axes["rate"]]
        while trial.live:
            rig.report_epoch(trial.trial, config["attempt"], trial.epoch + 1, eer)
    raise AssertionError("it comes to no end")


def _lines(folder):
    return (folder / "ledger.jsonl").read_text().splitlines(keepends=True)


def _checkpoints(lines):
    """Those that were written and not removed."""
    events = [parse(line.encode()) for line in lines]
    removed = {place for e in events if e.event == "removed" for place in e.checkpoints}
    return {e.checkpoint for e in events if e.event == "report"} - removed


@pytest.fixture
def whole(tmp_path):
    """A search that nothing disturbed."""
    rig = ControllerRig(tmp_path / "whole")
    _go_on(rig)
    rig.ledger.close()
    return rig


def test_a_driver_killed_after_any_of_its_words_is_followed_by_one_that_ends_the_search(
    whole, tmp_path
):
    lines = _lines(whole.folder)
    kinds = [parse(line.encode()).event for line in lines]
    assert set(kinds) >= {"search", "driver", "trial", "segment", "report", "end", "finish"}
    for said in range(1, len(lines)):
        folder = tmp_path / f"killed-{said}"
        folder.mkdir()
        for place in _checkpoints(lines[: said + 1]):  # one is renamed before it is reported
            (folder / place).mkdir(parents=True)
            (folder / place / "state.json").write_text("0123456789")
        (folder / "ledger.jsonl").write_text("".join(lines[:said]))
        assert launch.has_work(Ledger.open(folder / "ledger.jsonl")), kinds[said - 1]
        rig = ControllerRig(folder)
        before = SearchState.from_events(parse(line.encode()) for line in lines[:said])
        _go_on(rig)
        events = list(rig.ledger.events())
        rig.ledger.close()
        after = SearchState.from_events(events)
        assert after == rig.state
        assert find_wrong_decisions(events) == []
        assert recompute_rungs(events) == {rung: rung_results(after, rung) for rung in after.rungs}
        epochs = Counter((e.trial, e.epoch) for e in events if e.event == "report")
        assert set(epochs.values()) == {1}, "no epoch is trained twice"
        assert len(after.trials) == 4
        assert {trial.state for trial in after.trials.values()} == {"complete", "stopped"}
        assert all(trial.crashes == 0 for trial in after.trials.values())
        assert after.finish.reason == "all trials tried"
        for name, trial in before.trials.items():
            assert after.trials[name].signature == trial.signature
            assert after.trials[name].reports.items() >= trial.reports.items()
        ends = Counter(e.trial for e in events if e.event == "end")
        assert set(ends.values()) == {1}, "and no end is said twice"
        assert not launch.has_work(Ledger.open(folder / "ledger.jsonl"))


def test_a_trial_without_a_first_attempt_gets_one_before_there_is_another_trial(whole, tmp_path):
    lines = _lines(whole.folder)
    cut = next(n for n, line in enumerate(lines) if parse(line.encode()).event == "segment")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "ledger.jsonl").write_text("".join(lines[:cut]))
    rig = ControllerRig(tmp_path / "cut")
    trial, config = rig.driver.next_segment()
    assert (trial.trial, config) == ("t0001", {"attempt": 1, "to_rung": 1})
    rig.ledger.close()


def test_a_checkpoint_without_a_report_is_removed_and_its_epoch_is_trained_again(tmp_path):
    rig = ControllerRig(tmp_path / "trip")
    trial, _ = rig.driver.next_segment()
    renamed = tmp_path / "trip" / "trials" / trial.trial / "e0001-1"
    renamed.mkdir(parents=True)
    (renamed / "state.json").write_text("{}")
    rig.ledger.close()
    after = ControllerRig(tmp_path / "trip")
    assert after.driver._checkpoints._remover.drain(10)
    assert not renamed.exists()
    trial, config = after.driver.next_segment()
    assert (config, trial.last) == ({"attempt": 2, "to_rung": 1}, None)
    after.ledger.close()


# --- requests -----------------------------------------------------------------------------------


def _config(rate):
    return TrainConfig(optimiser=AdamW(learning_rate=rate)).model_dump(mode="json")


def _poll(rig):
    rig.driver._requests._polled = 0.0
    rig.driver.poll()


def _leave_unremoved(monkeypatch):
    """The driver is killed after it has written what a request amounts to."""
    monkeypatch.setattr(mailbox.Pending, "done", lambda _: None)


@pytest.mark.parametrize(
    "request_",
    [
        Stop(by="anna", trial="t0001"),
        Add(by="anna", config=_config(0.123), origin="added: x"),
        Budget(by="anna", trials=9),
        Pause(by="anna", driver=identity(this_process())),
        Stop(by="anna", driver=identity(this_process())),
    ],
    ids=["stop of a trial", "add", "budget", "pause", "stop"],
)
def test_a_request_whose_file_outlives_its_event_is_not_carried_out_again(
    tmp_path, monkeypatch, request_
):
    rig = ControllerRig(tmp_path / "trip")
    rig.driver.next_segment()
    sent = mailbox.write(rig.folder, request_)
    with monkeypatch.context() as killed:
        _leave_unremoved(killed)
        _poll(rig)
    assert sent.path.is_file()
    said = len(list(rig.ledger.events()))
    _poll(rig)
    assert len(list(rig.ledger.events())) == said
    assert not sent.path.exists()
    sent.path.write_text(request_.model_dump_json())
    rig.ledger.close()
    after = ControllerRig(tmp_path / "trip")
    said = len(list(after.ledger.events()))
    _poll(after)
    assert len(list(after.ledger.events())) == said, "nor by the next driver"
    assert not (rig.folder / "control" / "refused").exists(), "nor is it called wrong"
    assert mailbox.pending(rig.folder) == []
    after.ledger.close()


def test_a_budget_that_was_carried_out_does_not_come_back_over_a_later_one(tmp_path, monkeypatch):
    rig = ControllerRig(tmp_path / "trip")
    mailbox.write(rig.folder, Budget(by="anna", trials=48))
    with monkeypatch.context() as killed:
        _leave_unremoved(killed)
        _poll(rig)
    rig.ledger.close()
    with Ledger.open(rig.ledger.path, write=True) as ledger:
        asked = Budget(by="bob", trials=6)
        ledger.append(request_handler.event_of_request(ledger.state(), asked))
    after = ControllerRig(tmp_path / "trip")
    _poll(after)
    assert after.state.search.trials == 6
    after.ledger.close()


def test_who_asked_a_driver_that_died_after_its_word_hears_that_it_is_done(
    spksearch_home, monkeypatch
):
    rig = ControllerRig(spksearch_home / "trip")

    def die(pending, _):
        with monkeypatch.context() as killed:
            _leave_unremoved(killed)
            _poll(rig)
        rig.ledger.close()
        assert pending.path.is_file()

    monkeypatch.setattr(mailbox, "answer", die)
    assert ask("trip", Budget(by="anna", trials=9)) == "done"
    said = [event for event in rig.ledger.events() if getattr(event, "by", "") == "anna"]
    assert [event.trials for event in said] == [9]
    assert mailbox.pending(rig.folder) == []


def test_who_finds_a_driver_where_there_was_none_a_moment_ago_asks_it(spksearch_home, monkeypatch):
    rig = ControllerRig(spksearch_home / "trip")
    seen = iter([None])
    monkeypatch.setattr(
        request_handler, "find_live_driver", lambda folder: next(seen, find_live_driver(folder))
    )
    monkeypatch.setattr(request_handler, "PATIENCE_SECONDS", 0.0)
    assert ask("trip", Budget(by="anna", trials=9)) == "asked"
    (pending,) = mailbox.pending(rig.folder)
    assert messages.read(pending.path.read_bytes()).trials == 9
    rig.ledger.close()
