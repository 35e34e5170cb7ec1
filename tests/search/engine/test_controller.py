"""The driver's decisions and words, without Ray."""

import errno
import math
import os
import pickle
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest

from search.core.errors import UsageError
from search.core.lease import this_process
from search.engine.controller import SearchController
from search.ledger.queue import QueuedTrial
from search.ledger.state import SearchState
from search.requests import mailbox
from search.requests.messages import Budget, Stop
from search.scheduler.audit import find_wrong_decisions
from search.scheduler.next_job import count_wanted_trials
from search.scheduler.policy import AshaPolicy
from spkmodel.config import TrainConfig, WarmStart
from spkmodel.nn import encoders
from tests.support.controller_rig import ControllerRig
from tests.support.events import append


@pytest.fixture
def rig(tmp_path):
    made = ControllerRig(tmp_path / "trip")
    yield made
    made.ledger.close()


def test_what_is_run_was_written_down_before(rig):
    trial, config = rig.driver.next_segment()
    assert (trial.trial, config) == ("t0001", {"attempt": 1, "to_rung": 1})
    written = [event.event for event in rig.ledger.events()]
    assert written == ["search", "driver", "trial", "segment"]
    assert rig.ledger.state() == rig.state


def test_a_trial_has_the_weights_of_its_encoder_and_one_that_cannot_be_built_has_none(
    rig, monkeypatch
):
    trial, _ = rig.driver.next_segment()
    assert trial.encoder_parameters == encoders.parameter_count(TrainConfig().encoder)

    def fail(_):
        raise RuntimeError("no such layer")

    monkeypatch.setattr("search.space.model_size.count_encoder_weights", fail)
    rig.report_epoch(trial.trial)
    second, _ = rig.driver.next_segment()
    assert second.encoder_parameters is None


def test_a_result_is_recorded_once_with_a_path_inside_the_search(rig):
    rig.driver.next_segment()
    assert rig.report_epoch("t0001")
    report = rig.ledger.trials()["t0001"].reports[1]
    assert (report.checkpoint, report.metrics) == ("trials/t0001/e1-1", {"dev_eer": 0.3})
    assert rig.report_epoch("t0001", dev_eer=0.1)
    assert rig.ledger.trials()["t0001"].at(1) == 0.3
    assert sum(event.event == "report" for event in rig.ledger.events()) == 1


def test_late_words_and_late_deaths_of_an_older_attempt_change_nothing(rig):
    rig.driver.next_segment()
    rig.driver.on_attempt_finished("t0001", 1, "the node went away")
    trial, _ = rig.driver.next_segment()
    assert (trial.trial, trial.attempt) == ("t0001", 2)
    assert rig.report_epoch("t0001", attempt=1, dev_eer=0.1)
    rig.driver.on_attempt_finished("t0001", 1, "again")
    assert (trial.live, trial.epoch, trial.crashes) == (True, 0, 1)


def test_an_attempt_that_was_cut_off_and_comes_back_is_refused_every_word_and_checkpoint(rig):
    for _ in range(3):
        trial, _ = rig.driver.next_segment()
        rig.report_epoch(trial.trial, dev_eer=0.3 + len(rig.state.trials) / 100)
    trial, config = rig.driver.next_segment()
    assert (trial.trial, config) == ("t0001", {"attempt": 2, "to_rung": 3})
    rig.report_epoch("t0001", attempt=2, epoch=2, dev_eer=0.29)
    rig.driver.on_attempt_finished("t0001", 2, "its node cannot be reached", "lost_node")
    assert rig.driver.next_segment() == (trial, {"attempt": 3, "to_rung": 3})
    assert trial.last.checkpoint == "trials/t0001/e2-2", "it goes on from what was recorded"
    before = rig.ledger.path.read_bytes()
    assert rig.report_epoch("t0001", attempt=2, epoch=3, dev_eer=0.01), "it is told to stop"
    assert rig.fail("t0001", attempt=2, epoch=2, reason="diverged: late")
    rig.driver.on_attempt_finished("t0001", 2, "killed at last", "crash")
    assert rig.ledger.path.read_bytes() == before
    assert rig.report_epoch("t0001", attempt=3, epoch=3, dev_eer=0.28)
    assert rig.report_epoch("t0001", attempt=2, epoch=3, dev_eer=0.01)
    reports = rig.ledger.trials()["t0001"].reports
    assert [(r.epoch, r.attempt, r.objective) for r in reports.values()] == [
        (1, 1, 0.31),
        (2, 2, 0.29),
        (3, 3, 0.28),
    ]
    assert reports[3].checkpoint == "trials/t0001/e3-3", "and not what came back wrote, e3-2"
    assert (rig.folder / "trials" / "t0001" / "e3-2").is_dir()
    assert (trial.crashes, trial.interruptions) == (0, {"lost_node": 1})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_fails_the_trial_and_never_reaches_the_ledger(rig, value):
    rig.driver.next_segment()
    assert rig.report_epoch("t0001", dev_eer=value)
    trial = rig.ledger.trials()["t0001"]
    assert (trial.state, trial.reason) == ("failed", f"diverged: dev_eer is {value} at epoch 1")
    assert trial.reports == {}


def test_what_a_dead_driver_left_running_is_resumed_with_a_new_number(rig, tmp_path):
    rig.driver.next_segment()
    rig.ledger.close()
    after = ControllerRig(tmp_path / "trip")
    trial = after.state.trials["t0001"]
    assert (trial.state, trial.reason, trial.crashes) == ("paused", "its driver ended", 0)
    assert after.driver.next_segment() == (trial, {"attempt": 2, "to_rung": 1})
    after.ledger.close()


def test_a_space_that_runs_out_ends_the_search_and_says_so(tmp_path):
    rig = ControllerRig(tmp_path / "trip", trials=9, rates=(1e-3, 2e-3))
    for _ in range(2):
        trial, _ = rig.driver.next_segment()
        rig.report_epoch(trial.trial, dev_eer=trial.attempt / 10)
    trial, _ = rig.driver.next_segment()
    assert trial.target == 3
    rig.report_epoch(trial.trial, epoch=2, attempt=2)
    rig.report_epoch(trial.trial, epoch=3, attempt=2)
    assert rig.driver.next_segment() == "done"
    rig.driver.finish()
    assert rig.state.finish.reason == "every config of the space has been tried"
    assert rig.state.finish.totals["epochs"] == 4
    assert find_wrong_decisions(rig.ledger.events()) == [], "that it ran out is in the ledger"
    assert count_wanted_trials(rig.state, AshaPolicy.from_state(rig.state)) == 0, (
        "no machine is asked for any more"
    )
    rig.ledger.close()


@pytest.mark.parametrize("ends_it", ["stop", "hours"])
def test_a_space_that_ran_out_is_not_what_ended_a_search_that_was_ended_later(tmp_path, ends_it):
    rig = ControllerRig(tmp_path / "trip", trials=9, hours=1.0, rates=(1e-3, 2e-3))
    for _ in range(2):
        trial, _ = rig.driver.next_segment()
        rig.report_epoch(trial.trial, dev_eer=trial.attempt / 10)
    trial, _ = rig.driver.next_segment()
    assert (trial.target, rig.state.exhausted) == (3, 2)
    assert rig.driver.next_segment() == "wait"
    if ends_it == "hours":
        rig.clock += 3601
    else:
        me = mailbox.identity(this_process())
        mailbox.write(rig.folder, Stop(by="anna", driver=me))
        rig.driver.poll()
    rig.report_epoch(trial.trial, epoch=2, attempt=2)
    assert rig.driver.next_segment() == "done"
    rig.driver.finish()
    why = {"hours": "1 hours used", "stop": "asked to stop"}[ends_it]
    assert rig.state.finish.reason == why
    assert rig.state.trials[trial.trial].reason.startswith(why)
    rig.ledger.close()


def test_what_is_asked_once_there_is_nothing_left_to_do_is_for_the_next_driver(rig):
    rig.clock += 1
    mailbox.write(rig.folder, Stop(by="anna", driver=mailbox.identity(this_process())))
    rig.driver.poll()
    assert rig.driver.next_segment() == "done"
    mailbox.write(rig.folder, Budget(by="anna", trials=9))
    rig.driver._requests._polled = 0.0
    rig.driver.poll()
    rig.driver.finish()
    assert rig.state.finish.reason == "asked to stop"
    assert rig.state.search.trials == 4, "what is granted is carried out"
    assert [each.read() for each in mailbox.pending(rig.folder)] == [Budget(by="anna", trials=9)]


def test_any_number_of_wishes_that_come_to_nothing_is_withdrawn(rig, monkeypatch):
    def resolve(config):
        if config.warm_start is not None:
            raise UsageError("no such weights")

    monkeypatch.setattr("search.checkpoints.warm_start.resolve", resolve)
    monkeypatch.setattr("os.fsync", lambda _: None)
    warm = TrainConfig(warm_start=WarmStart(weights="nobody/t0001")).model_dump(mode="json")
    for number in range(1100):
        wish = QueuedTrial(f"added/{number}", warm, "added")
        rig.state.apply(append(rig.ledger, "queued", **asdict(wish)))
    trial, _ = rig.driver.next_segment()
    assert (trial.trial, len(rig.state.withdrawn)) == ("t0001", 1100)


def unreadable(monkeypatch, times):
    tries = []

    def resolve(config):
        if config.warm_start is not None and len(tries) < times:
            tries.append(config)
            raise OSError(errno.EIO, os.strerror(errno.EIO), "/other/search")

    monkeypatch.setattr("search.checkpoints.warm_start.resolve", resolve)
    return tries


def wish_for_warm_weights(rig):
    warm = TrainConfig(warm_start=WarmStart(weights="other/t0001")).model_dump(mode="json")
    rig.state.apply(append(rig.ledger, "queued", **asdict(QueuedTrial("added/1", warm, "added"))))


def test_weights_that_the_storage_does_not_give_now_are_asked_for_again_and_end_nothing(
    rig, monkeypatch
):
    unreadable(monkeypatch, 1)
    wish_for_warm_weights(rig)
    assert rig.driver.next_segment() == "wait"
    assert "/other/search: input/output error" in rig.state.holds["storage"]
    assert rig.state.exhausted is None
    rig.clock += 10
    rig.driver.poll()
    trial, _ = rig.driver.next_segment()
    assert (trial.wish, rig.state.withdrawn) == ("added/1", {})


def test_a_wish_whose_weights_the_storage_never_gives_is_withdrawn_and_the_others_go_on(
    rig, monkeypatch
):
    tries = unreadable(monkeypatch, 1000)
    wish_for_warm_weights(rig)
    while rig.driver.next_segment() == "wait":
        rig.clock += 60
        rig.driver.poll()
    assert len(tries) == 6
    assert "Input/output error" in rig.state.withdrawn["added/1"]
    assert rig.state.trials["t0001"].wish == ""


def test_used_hours_end_segments_between_epochs_and_outlive_a_restart(tmp_path):
    rig = ControllerRig(tmp_path / "trip", hours=1.0)
    rig.driver.next_segment()
    rig.clock += 1800
    assert rig.report_epoch("t0001")
    assert rig.state.spent_hours() == 0.5
    rig.ledger.close()
    after = ControllerRig(tmp_path / "trip")
    trial, _ = after.driver.next_segment()
    after.clock += 1801
    assert after.report_epoch(trial.trial, dev_eer=0.1)
    assert after.driver.next_segment() == "done"
    after.driver.finish()
    first = after.state.trials["t0001"]
    assert (first.state, first.ended_by) == ("stopped", "budget")
    assert first.reason == "1 hours used; 2 of 2 at rung 1"
    assert after.state.finish.totals["hours"] == pytest.approx(1, abs=0.001)
    assert after.ledger.state() == after.state
    after.ledger.close()


@pytest.mark.parametrize("jump", [timedelta(hours=1), -timedelta(hours=1)])
def test_a_clock_moved_by_an_hour_changes_neither_the_hours_spent_nor_the_order(
    tmp_path, jump, monkeypatch
):
    rig = ControllerRig(tmp_path / "trip", hours=0.5)
    rig.driver.next_segment()
    rig.clock += 60
    rig.report_epoch("t0001", dev_eer=0.2)

    class Moved(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + jump

    monkeypatch.setattr("search.ledger.ledger.datetime", Moved)
    second, _ = rig.driver.next_segment()
    rig.clock += 60
    rig.report_epoch(second.trial, dev_eer=0.1)
    read = rig.ledger.state()
    assert read == rig.state
    assert read.spent_hours() == pytest.approx(120 / 3600)
    first, third = (datetime.fromisoformat(event.time) for event in rig.reports())
    assert abs(third - first) > timedelta(minutes=59)
    assert list(read.trials) == ["t0001", "t0002"]
    assert rig.driver.next_segment() != "done"
    rig.clock += 1800
    rig.report_epoch("t0003")
    assert rig.driver.next_segment() == "done"
    rig.ledger.close()


def test_a_stop_of_one_trial_is_carried_out_after_its_epoch(rig):
    rig.driver.next_segment()
    mailbox.write(rig.folder, Stop(by="anna", trial="t0001"))
    mailbox.write(rig.folder, Stop(by="anna", trial="t0404"))
    rig.driver.poll()
    assert mailbox.pending(rig.folder) == []
    assert rig.state.trials["t0001"].live
    assert rig.report_epoch("t0001")
    trial = rig.state.trials["t0001"]
    assert (trial.state, trial.ended_by, trial.epoch) == ("killed", "user", 1)


def test_a_stop_meant_for_the_last_driver_does_not_stop_the_next(rig, tmp_path):
    mailbox.write(rig.folder, Stop(by="anna", now=True, driver="here 1 0-1"))
    mailbox.write(rig.folder, Stop(by="anna", trial="t0001", now=True))
    rig.driver.next_segment()
    rig.ledger.close()
    after = ControllerRig(tmp_path / "trip")
    after.driver.poll()
    assert after.state.search_stop == ""
    assert after.state.trials["t0001"].state == "killed"
    after.ledger.close()


def test_an_interrupted_search_has_no_trial_running_and_no_end(rig):
    rig.driver.next_segment()
    rig.driver.interrupt("interrupted by SIGTERM")
    state = SearchState.from_events(rig.ledger.events())
    assert (state.trials["t0001"].state, state.finish) == ("paused", None)
    assert state.trials["t0001"].reason == "interrupted by SIGTERM"


def test_a_copy_for_tunes_files_is_no_driver(rig):
    assert not isinstance(pickle.loads(pickle.dumps(rig.driver)), SearchController)


def test_a_hold_is_written_once_and_starts_nothing_until_it_is_released(rig):
    rig.driver.hold("disk", "1 GB free", "watchdog")
    rig.driver.hold("disk", "0.9 GB free", "watchdog")
    rig.driver.release("storage", "watchdog")
    assert [rig.driver.next_segment() for _ in range(3)] == ["wait"] * 3
    rig.driver.release("disk", "watchdog")
    trial, _ = rig.driver.next_segment()
    assert trial.live
    events = [(event.event, getattr(event, "cause", None)) for event in rig.ledger.events()][2:4]
    assert events == [("hold", "disk"), ("release", "disk")]
    assert rig.ledger.state() == rig.state
