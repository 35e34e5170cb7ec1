"""Real Tune, real worker processes, a toy to train."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from search.core.errors import Interrupted
from search.core.lease import find_live_driver
from search.engine import hang_detection, tune_patches
from search.engine.request_handler import ask
from search.engine.tune_hooks import ProgressCallback, ResultRecorder, SegmentSearcher
from search.engine.tune_session import TuneSession
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.requests import mailbox
from search.requests.messages import Budget, Pause, Stop, Unpause
from search.scheduler.audit import find_wrong_decisions, recompute_rungs
from search.scheduler.rung_queries import rung_results
from spkmodel.core.process_identity import process_start
from spkmodel.worker.processes import read_worker
from tests.support import toy_ray_search

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("local_ray")]


def events_of(folder):
    return list(Ledger.open(folder / "ledger.jsonl").events())


def assert_sound(folder):
    """Every epoch of every trial is there once, in order, and every decision is the rule's."""
    events = events_of(folder)
    state = SearchState.from_events(events)
    epochs = Counter((e.trial, e.epoch) for e in events if e.event == "report")
    assert set(epochs.values()) <= {1}
    assert (state.refused, state.repeated) == (0, 0)
    for trial in state.trials.values():
        assert sorted(trial.reports) == list(range(1, trial.epoch + 1))
        for report in trial.reports.values():
            is_there = (folder / report.checkpoint / "state.json").is_file()
            assert is_there == trial.has_checkpoint(report)
    assert find_wrong_decisions(events) == []
    assert recompute_rungs(events) == {rung: rung_results(state, rung) for rung in state.rungs}
    return state


def _ask(name, trial, now):
    """As from another terminal; the driver, which waits for this, answers later."""
    return ask(name, Stop(by="anna", trial=trial, now=now))


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_a_search_runs_to_its_end_and_is_extended_by_epochs_and_by_trials(tmp_path):
    folder = tmp_path / "plain"
    running = toy_ray_search.run_search(folder, trials=12)
    state = assert_sound(folder)
    assert running == state
    assert len(state.trials) == 12
    assert Counter(trial.state for trial in state.trials.values())["complete"] >= 2
    assert {trial.state for trial in state.trials.values()} == {"complete", "stopped"}
    assert all(trial.reason for trial in state.trials.values())
    assert state.finish.reason == "all trials tried"
    best = min(state.trials.values(), key=lambda trial: trial.best().objective)
    assert best.state == "complete"
    assert not list(folder.glob(".tune-*"))
    assert find_live_driver(folder) is None

    toy_ray_search.run_search(folder, trials=15, max_epochs=27)
    extended = assert_sound(folder)
    assert len(extended.trials) == 15
    assert max(trial.epoch for trial in extended.trials.values()) == 27
    assert extended.trials[best.trial].reports.items() >= best.reports.items()


def test_a_driver_killed_in_mid_search_loses_no_trial_and_repeats_no_epoch(tmp_path, local_ray):
    folder = tmp_path / "killed"
    command = [sys.executable, toy_ray_search.__file__, local_ray, str(folder)]
    driver = subprocess.Popen(command)
    ledger = Ledger.open(folder / "ledger.jsonl")
    wait_for(lambda: sum(e.event == "report" for e in ledger.events()) >= 9)
    driver.kill()
    driver.wait()
    before = ledger.state()
    assert before.finish is None
    toy_ray_search.run_search(folder)
    after = assert_sound(folder)
    for name, trial in before.trials.items():
        assert after.trials[name].signature == trial.signature
        assert after.trials[name].reports.items() >= trial.reports.items()
    assert len(after.trials) == 12
    assert len(after.sessions) == 2
    assert all(trial.crashes == 0 for trial in after.trials.values())


def test_a_worker_that_dies_is_replaced_and_a_diverged_trial_does_not_hold_the_others_up(tmp_path):
    folder = tmp_path / "deaths"
    victim = folder / "trials" / "t0002" / "pid"
    killed = []

    def murder():
        if not killed and victim.is_file():
            pid = int(victim.read_text())
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    ill = {"diverges": ["t0001"], "nan": ["t0003"], "too_large": ["t0004"]}
    toy_ray_search.run_search(folder, trials=5, poll=murder, slow={"t0002": 0.5}, **ill)
    state = assert_sound(folder)
    assert len(killed) == 1
    trials = state.trials
    assert (trials["t0001"].state, trials["t0001"].reason) == ("failed", "diverged: loss is nan")
    assert trials["t0003"].state == "failed"
    assert trials["t0003"].reason == "diverged: dev_eer is nan at epoch 1"
    assert (trials["t0002"].crashes, trials["t0002"].attempt >= 2) == (1, True)
    assert trials["t0002"].epoch >= 1
    assert (trials["t0004"].failure, trials["t0004"].attempt) == ("out_of_memory", 2)
    assert trials["t0004"].reason == "out of memory 2 times: MemoryError: no room for a tensor"
    assert [trials[name].failure for name in ("t0001", "t0003")] == ["diverged", "diverged"]
    interruptions = [e for e in events_of(folder) if e.event == "crash"]
    kinds = {(e.trial, e.kind, e.counts) for e in interruptions}
    assert kinds == {("t0002", "crash", True), ("t0004", "out_of_memory", True)}
    started = [e.trial for e in events_of(folder) if e.event == "segment"]
    again = started.index("t0004", started.index("t0004") + 1)
    assert again > started.index("t0005"), "what ran out of memory waits for all others"
    assert "killed" in next(e.reason for e in interruptions if e.trial == "t0002")


def test_a_trial_and_then_the_search_can_be_stopped_and_the_rest_goes_on_later(
    spksearch_home, monkeypatch
):
    folder = spksearch_home / "stopped"
    monkeypatch.setattr("search.engine.request_handler.PATIENCE_SECONDS", 0.0)
    asked = []

    def steer():
        reports = (folder / "ledger.jsonl").read_text().count('"report"')
        if not asked and (folder / "trials" / "t0001" / "pid").is_file():
            asked.append(_ask("stopped", "t0001", now=True))
        if len(asked) == 1 and reports >= 3:
            asked.append(_ask("stopped", None, now=False))

    toy_ray_search.run_search(folder, poll=steer, slow={"t0001": 1.5})
    state = assert_sound(folder)
    assert asked == ["asked", "asked"]
    assert (state.trials["t0001"].state, state.trials["t0001"].epoch) == ("killed", 0)
    assert state.finish.reason == "asked to stop"
    assert len(state.trials) < 12
    assert mailbox.pending(folder) == []

    toy_ray_search.run_search(folder, trials=6)
    state = assert_sound(folder)
    assert len(state.trials) >= 6
    assert state.trials["t0001"].state == "killed"
    assert state.finish.reason == "all trials tried"


def _slow(name, **more):
    return json.dumps({"slow": {name: 60}} | more)


def test_a_signal_leaves_in_mid_epoch_and_what_is_told_goes_on_there(tmp_path, local_ray):
    folder = tmp_path / "signalled"
    driver = subprocess.Popen(
        [sys.executable, toy_ray_search.__file__, local_ray, str(folder), _slow("t0002")]
    )
    ledger = Ledger.open(folder / "ledger.jsonl")
    wait_for((folder / "trials" / "t0002" / "pid").is_file)
    driver.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    wait_for(lambda: any(e.event == "crash" for e in ledger.events()))
    assert time.monotonic() - asked < 3
    assert driver.wait(timeout=20) == 128 + signal.SIGTERM
    assert time.monotonic() - asked < 10, "nobody was left to wait for"
    state = assert_sound(folder)
    assert {trial.state for trial in state.trials.values()} == {"paused"}
    left = state.trials["t0002"]
    assert left.reason == "interrupted by SIGTERM"
    assert (left.epoch, left.partial.epoch, left.partial.of) == (
        0,
        1,
        toy_ray_search.STEPS_PER_EPOCH,
    )
    assert 0 < left.partial.steps < toy_ray_search.STEPS_PER_EPOCH
    assert left.resume_point == left.partial
    assert state.finish is None
    assert process_start(driver.pid) is None
    assert not list(folder.glob("trials/*/leave-*"))

    toy_ray_search.run_search(folder, trials=2, max_epochs=1)
    after = assert_sound(folder)
    events = [e for e in events_of(folder) if e.event == "segment" and e.trial == "t0002"]
    assert [e.from_step for e in events] == [0, left.partial.steps]
    assert after.trials["t0002"].state == "complete"
    assert after.trials["t0002"].reports[1].seconds == pytest.approx(0.05 + left.partial.seconds)
    assert after.trials["t0002"].partial is None
    assert not (folder / left.partial.checkpoint).exists()


def test_who_does_not_answer_a_signal_is_written_down_as_cut_and_killed_after_the_grace(
    tmp_path, local_ray
):
    folder = tmp_path / "deaf"
    knobs = _slow("t0002", deaf=["t0002"], grace_seconds=3.0)
    driver = subprocess.Popen(
        [sys.executable, toy_ray_search.__file__, local_ray, str(folder), knobs]
    )
    ledger = Ledger.open(folder / "ledger.jsonl")
    wait_for((folder / "trials" / "t0002" / "pid").is_file)
    worker = read_worker(folder / "trials" / "t0002", 1)
    asked = time.monotonic()
    driver.send_signal(signal.SIGINT)
    wait_for(lambda: not any(trial.live for trial in ledger.state().trials.values()))
    assert time.monotonic() - asked < 3
    assert driver.poll() is None, "it waits, for a checkpoint may still come"
    assert process_start(worker.pid) == worker.started
    assert driver.wait(timeout=20) == 128 + signal.SIGINT
    assert 3 <= time.monotonic() - asked < 10
    state = assert_sound(folder)
    assert state.trials["t0002"].reason == "interrupted by SIGINT"
    assert state.trials["t0002"].partial is None
    wait_for(lambda: process_start(worker.pid) is None, seconds=5)


def test_a_search_that_is_stopped_at_once_keeps_the_epochs_under_way(spksearch_home, monkeypatch):
    folder = spksearch_home / "at-once"
    monkeypatch.setattr("search.engine.request_handler.PATIENCE_SECONDS", 0.0)
    asked = []

    def steer():
        if not asked and (folder / "trials" / "t0001" / "pid").is_file():
            asked.append(_ask("at-once", None, now=True))

    toy_ray_search.run_search(folder, trials=1, max_epochs=1, poll=steer, slow={"t0001": 60})
    state = assert_sound(folder)
    part = state.trials["t0001"].partial
    assert (state.finish.reason, state.trials["t0001"].state) == ("stopped by hand", "stopped")
    assert (folder / part.checkpoint / "state.json").is_file()
    toy_ray_search.run_search(folder, trials=1, max_epochs=1)
    after = assert_sound(folder).trials["t0001"]
    assert (after.state, after.epoch) == ("complete", 1)
    assert after.reports[1].seconds > part.seconds


def test_a_damaged_newest_checkpoint_is_trained_again_from_the_one_before(tmp_path):
    folder = tmp_path / "damaged"
    toy_ray_search.run_search(folder, trials=4, max_epochs=3)
    before = assert_sound(folder)
    best = next(trial for trial in before.trials.values() if trial.epoch == 3)
    shutil.rmtree(folder / best.last.checkpoint)
    toy_ray_search.run_search(folder, trials=4, max_epochs=9)
    events = events_of(folder)
    (event,) = [event for event in events if event.event == "damaged"]
    assert (event.trial, event.epoch, event.from_epoch) == (best.trial, 3, 2)
    after = SearchState.from_events(events)
    assert (after.refused, after.repeated) == (0, 0)
    assert sorted(after.trials[best.trial].reports) == list(range(1, 10))
    assert after.trials[best.trial].at(3) == best.at(3)
    assert find_wrong_decisions(events) == []
    assert recompute_rungs(events) == {rung: rung_results(after, rung) for rung in after.rungs}


def test_a_signal_leaves_though_the_storage_cannot_be_written_and_all_goes_on_later(
    tmp_path, monkeypatch
):
    folder = tmp_path / "away"
    write, refused = os.write, []

    def refuse(descriptor, data):
        if not data.startswith(b'{"event"'):
            return write(descriptor, data)
        refused.append(time.monotonic())
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def break_it():
        reports = (folder / "ledger.jsonl").read_text().count('"report"')
        if reports >= 3 and not refused:
            monkeypatch.setattr(os, "write", refuse)

    def send():
        while len(refused) < 4:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()
    with pytest.raises(Interrupted, match="Read-only file system") as interrupted:
        toy_ray_search.run_search(folder, trials=6, poll=break_it)
    assert interrupted.value.signal_number == signal.SIGTERM
    monkeypatch.undo()
    before = SearchState.from_events(events_of(folder))
    toy_ray_search.run_search(folder, trials=6)
    after = assert_sound(folder)
    assert after.finish.reason == "all trials tried"
    for name, trial in before.trials.items():
        assert after.trials[name].reports.items() >= trial.reports.items()
        assert after.trials[name].crashes == 0


def test_the_stopping_rule_runs_on_the_same_machinery(tmp_path):
    folder = tmp_path / "stopping"
    toy_ray_search.run_search(folder, trials=6, rule="stopping")
    state = assert_sound(folder)
    assert state.trials["t0001"].state == "complete"
    assert {trial.ended_by for trial in state.trials.values()} == {"rule"}


def test_a_problem_in_the_driver_ends_the_search_and_is_told(tmp_path):
    def fail():
        raise ValueError("the sky is falling")

    with pytest.raises(ValueError, match="the sky is falling"):
        toy_ray_search.run_search(tmp_path / "problem", poll=fail)
    toy_ray_search.run_search(tmp_path / "problem", trials=1)
    assert assert_sound(tmp_path / "problem").trials["t0001"].state == "complete"


def test_an_end_of_an_attempt_that_nobody_knows_ends_no_search(tmp_path, monkeypatch):
    """Tune may tell twice of one end: of an actor that dies while it is being stopped."""
    complete, error = (
        SegmentSearcher.on_trial_complete,
        ProgressCallback.on_trial_error,
    )

    def twice(hooks, trial_id, **details):
        complete(hooks, trial_id, **details)
        complete(hooks, trial_id, **details)

    def again(hooks, **details):
        error(hooks, **details)
        error(hooks, **details)

    monkeypatch.setattr(SegmentSearcher, "on_trial_complete", twice)
    monkeypatch.setattr(ProgressCallback, "on_trial_error", again)
    toy_ray_search.run_search(tmp_path / "twice", trials=3, max_epochs=3, too_large=["t0002"])
    state = assert_sound(tmp_path / "twice")
    assert state.finish.reason == "all trials tried"
    assert state.trials["t0002"].failure == "out_of_memory"


def test_what_goes_wrong_when_an_attempt_ends_is_told_as_it_is(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "the file of the error cannot be read")

    monkeypatch.setattr(tune_patches, "read_error", fail)
    with pytest.raises(OSError, match="the file of the error cannot be read"):
        toy_ray_search.run_search(tmp_path / "problem", trials=2, max_epochs=1, too_large=["t0001"])
    monkeypatch.undo()
    toy_ray_search.run_search(tmp_path / "problem", trials=2, max_epochs=1)
    assert assert_sound(tmp_path / "problem").trials["t0001"].state == "complete"


def test_a_search_that_tune_ends_for_no_reason_of_ours_is_not_taken_for_stopped(
    tmp_path, monkeypatch
):
    should_stop_all = TuneSession.should_stop_all

    def end_it(session):
        return should_stop_all(session) or len(session._driver.state.trials) >= 2

    monkeypatch.setattr(TuneSession, "should_stop_all", end_it)
    with pytest.raises(RuntimeError, match=r"Tune ended .* launch goes on"):
        toy_ray_search.run_search(tmp_path / "ended", trials=4, max_epochs=1)
    assert Ledger.open(tmp_path / "ended" / "ledger.jsonl").state().finish is None
    monkeypatch.undo()
    toy_ray_search.run_search(tmp_path / "ended", trials=4, max_epochs=1)
    assert len(assert_sound(tmp_path / "ended").trials) == 4


def test_no_more_trials_are_under_way_than_there_are_slots_and_new_slots_are_used(tmp_path):
    folder = tmp_path / "slots"
    limit = [1]

    def grow():
        if (folder / "ledger.jsonl").read_text().count('"report"') >= 4:
            limit[0] = 2

    toy_ray_search.run_search(folder, trials=6, poll=grow, slots=lambda: limit[0])
    assert_sound(folder)
    state, most, reports = SearchState(), {1: 0, 2: 0}, 0
    for event in events_of(folder):
        state.apply(event)
        reports += event.event == "report"
        phase = 1 if reports < 4 else 2
        most[phase] = max(most[phase], sum(trial.live for trial in state.trials.values()))
    assert most == {1: 1, 2: 2}


def test_segments_shorter_than_the_start_of_a_worker_leave_no_slot_without_one(tmp_path):
    folder = tmp_path / "short"
    toy_ray_search.run_search(folder, trials=16)
    workers = {path.read_text() for path in folder.glob("trials/*/pid")}
    assert len(workers) == 2


def test_a_segment_that_waits_long_for_a_worker_is_the_next_to_get_one():
    def tune_trial(name, status):
        return SimpleNamespace(trial_id=name, status=status)

    trials = [tune_trial("a", "RUNNING"), tune_trial("b", "PENDING"), tune_trial("c", "PENDING")]
    now = time.monotonic()
    handed_out = {"a": 0.0, "b": now, "c": now}
    session = SimpleNamespace(has_waited=lambda name, seconds: now - handed_out[name] > seconds)
    recorder = ResultRecorder(session)
    controller = SimpleNamespace(get_trials=lambda: trials)
    assert recorder.choose_trial_to_run(controller) is None
    handed_out["c"] = now - 31
    assert recorder.choose_trial_to_run(controller) is trials[2]


def test_a_pause_of_a_search_with_nothing_running_waits_and_hears_what_is_asked(
    spksearch_home, monkeypatch
):
    monkeypatch.setattr("search.engine.request_handler.PATIENCE_SECONDS", 0.0)
    folder = spksearch_home / "paused"
    quiet, asked = [], []

    def steer():
        state = Ledger.open(folder / "ledger.jsonl").state()
        if not asked and state.trials:
            asked.append(ask("paused", Pause(by="anna")))
        elif state.holds and not any(trial.live for trial in state.trials.values()):
            quiet.append(time.monotonic())
            if len(asked) == 1:
                asked.append(ask("paused", Budget(by="anna", trials=3)))
            elif len(asked) == 2 and state.search.trials == 3 and quiet[-1] > quiet[0] + 2:
                asked.append(ask("paused", Unpause(by="bob")))

    toy_ray_search.run_search(folder, trials=12, poll=steer)
    state = assert_sound(folder)
    assert asked == ["asked"] * 3
    assert (state.holds, len(state.trials)) == ({}, 3)
    assert state.finish.reason == "all trials tried"
    words = [
        (e.event, e.by) for e in events_of(folder) if getattr(e, "by", None) in ("anna", "bob")
    ]
    assert words == [("hold", "anna"), ("search", "anna"), ("release", "bob")]
    # It neither ended nor span: Tune asks about once a second while nothing runs.
    assert quiet[-1] - quiet[0] > 2
    assert len(quiet) < 40


def test_a_search_without_a_slot_is_on_hold_and_goes_on_when_there_is_one(tmp_path):
    folder = tmp_path / "shrunk"
    began = time.monotonic()
    toy_ray_search.run_search(folder, trials=2, slots=lambda: int(time.monotonic() - began > 2))
    state = assert_sound(folder)
    events = [event for event in events_of(folder) if event.event in ("hold", "release", "trial")]
    assert [event.event for event in events] == ["hold", "release", "trial", "trial"]
    assert events[0].cause == events[1].cause == "cluster"
    assert state.finish.reason == "all trials tried"


def test_an_attempt_that_hangs_is_ended_for_certain_and_goes_on_from_its_last_epoch(tmp_path):
    folder = tmp_path / "frozen"
    patience = hang_detection.HangTimeout(epochs=10, floor_seconds=2)
    toy_ray_search.run_search(folder, trials=4, patience=patience, freezes=["t0003"])
    state = assert_sound(folder)
    interruptions = [e for e in events_of(folder) if e.event == "crash"]
    assert [(e.trial, e.kind, e.counts) for e in interruptions] == [("t0003", "hang", True)]
    assert interruptions[0].reason.startswith("no word for ")
    frozen = read_worker(folder / "trials" / "t0003", 1)
    assert process_start(frozen.pid) != frozen.started, "it would not have heard of ray.kill"
    trial = state.trials["t0003"]
    assert (trial.attempt >= 2, trial.epoch >= 1, trial.crashes) == (True, True, 1)


def test_the_processes_of_a_dead_driver_are_ended_before_work_goes_on(tmp_path, local_ray):
    folder = tmp_path / "left"
    driver = subprocess.Popen(
        [sys.executable, toy_ray_search.__file__, local_ray, str(folder), _slow("t0001")]
    )
    wait_for((folder / "trials" / "t0001" / "pid").is_file)
    worker = read_worker(folder / "trials" / "t0001", 1)
    orphan = subprocess.Popen(["sleep", "60"])  # what Ray itself failed to end
    started = process_start(orphan.pid)
    record = {"host": worker.host, "started": started, "node": "", "oom_kills": None}
    (folder / "trials" / "t0002" / "worker-0007.json").parent.mkdir(exist_ok=True)
    (folder / "trials" / "t0002" / "worker-0007.json").write_text(
        json.dumps(record | {"attempt": 7, "pid": orphan.pid})
    )
    driver.kill()
    driver.wait()
    toy_ray_search.run_search(folder, trials=2)
    assert orphan.wait(5) == -signal.SIGKILL
    assert_sound(folder)
    left = {e.pid: e for e in events_of(folder) if e.event == "leftover"}
    assert (left[orphan.pid].trial, left[orphan.pid].attempt) == ("t0002", 7)
    assert left[orphan.pid].fate == "killed"
    assert process_start(worker.pid) != worker.started
    kinds = [e.event for e in events_of(folder)]
    second = len(kinds) - 1 - kinds[::-1].index("driver")
    assert kinds.index("leftover") > second
    assert "segment" not in kinds[second : kinds.index("leftover")]
