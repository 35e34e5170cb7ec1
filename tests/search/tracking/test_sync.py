"""What a real MLflow server has after a search, an outage, a restart, a deletion."""

import os
import threading
import time

import pytest
from mlflow import MlflowClient

from search.tracking.projection import CURSOR, HOLD, SEARCH, RunProjection
from search.tracking.sync import Tracker, catch_up, take_turn

pytestmark = pytest.mark.slow

PATIENCE = 50.0


@pytest.fixture
def client(mlflow_server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    return MlflowClient(mlflow_server.uri)


def runs_of(client, search, view_type=1):
    experiment = client.get_experiment_by_name(f"spksearch/{search.space}")
    there = client.search_runs(
        [experiment.experiment_id], run_view_type=view_type, max_results=1000
    )
    return [run for run in there if run.data.tags["search"] == search.name]


def assert_mirrored(client, search) -> dict:
    """MLflow has one run per trial and every point of the ledger exactly once; the runs."""
    mirror = RunProjection()
    for event in search.events:
        mirror.add(event)
    runs = runs_of(client, search)
    by_key = {run.data.tags.get("trial", SEARCH): run for run in runs}
    assert len(runs) == len(by_key) == len(mirror.runs)
    for key, wanted in mirror.runs.items():
        run = by_key[key]
        history = [
            (point.key, point.value, point.step, point.timestamp)
            for name in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, name)
        ]
        assert sorted(history) == sorted((p.key, p.value, p.step, p.time_ms) for p in wanted.points)
        assert run.data.params == wanted.params
        assert wanted.tags.items() - {(CURSOR, wanted.tags[CURSOR])} <= run.data.tags.items()
        assert (run.info.status, run.info.start_time) == (wanted.status, wanted.started_ms)
        if key != SEARCH:
            assert run.data.tags["mlflow.parentRunId"] == by_key[SEARCH].info.run_id
    assert by_key[SEARCH].data.tags[CURSOR] == str(len(search.events))
    return by_key


def write_search(search, trials: int = 3, epochs: int = 3) -> None:
    """Some trials that have reached a rung."""
    search.begin()
    for number in range(1, trials + 1):
        trial = search.trial(number, learning_rate=10**-number, loss="aam_softmax")
        search.segment(trial, to_rung=epochs)
        for epoch in range(1, epochs + 1):
            search.report(trial, epoch, 0.4 / (number + epoch))


def test_a_searchs_whole_ledger_is_in_mlflow_with_status_and_end(
    client, mlflow_server, ledger_on_disk
):
    search = ledger_on_disk("whole")
    write_search(search)
    search.end("t0001", "stopped", rung=3, reason="behind at rung 3")
    search.end("t0002", "failed", rung=3, reason="diverged: loss is nan")
    search.end("t0003", "complete", rung=3)
    search.finish()
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    runs = assert_mirrored(client, search)
    assert {key: run.info.status for key, run in runs.items()} == {
        SEARCH: "FINISHED",
        "t0001": "FINISHED",
        "t0002": "FAILED",
        "t0003": "FINISHED",
    }
    assert runs["t0001"].info.run_name == "t0001 tdnn aam_softmax"
    experiment = client.get_experiment(runs[SEARCH].info.experiment_id)
    assert experiment.tags["mlflow.note.content"].startswith(
        "# whole: best dev EER 6.67%, trial t0003"
    )
    assert "mlflow.sharedViewState.spksearch-whole" in experiment.tags


def test_why_a_search_waits_is_on_its_run_while_it_waits_also_for_a_tracker_that_begins_then(
    client, mlflow_server, ledger_on_disk
):
    search = ledger_on_disk("waiting")
    write_search(search, trials=1)
    search.write("hold", cause="disk", reason="the disk is nearly full", by="driver")
    tracker = Tracker(search.path, mlflow_server.uri).start()
    assert tracker.drain(PATIENCE)
    assert assert_mirrored(client, search)[SEARCH].data.tags[HOLD] == "the disk is nearly full"
    search.write("release", cause="disk", by="driver")
    assert tracker.drain(PATIENCE)
    assert HOLD not in assert_mirrored(client, search)[SEARCH].data.tags
    search.write("hold", cause="disk", reason="full again", by="driver")
    assert tracker.drain(PATIENCE)
    tracker.close()
    search.write("release", cause="disk", by="driver")
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    assert HOLD not in assert_mirrored(client, search)[SEARCH].data.tags


def test_a_restart_makes_no_second_run_and_no_second_point(client, mlflow_server, ledger_on_disk):
    search = ledger_on_disk("restarted")
    write_search(search, trials=2)
    for _ in range(2):
        tracker = Tracker(search.path, mlflow_server.uri).start()
        assert tracker.drain(PATIENCE)
        tracker.close()
        assert_mirrored(client, search)
        search.segment("t0002", to_rung=9, from_epoch=3, attempt=2)
        search.report("t0002", len(search.events), 0.01, attempt=2)
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    assert_mirrored(client, search)


def test_what_was_sent_but_never_confirmed_is_sent_again_and_stored_once(
    client, mlflow_server, ledger_on_disk
):
    search = ledger_on_disk("unconfirmed")
    write_search(search, trials=1)
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    for run in runs_of(client, search):
        client.set_tag(run.info.run_id, CURSOR, "4")
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    assert_mirrored(client, search)


def test_another_search_of_the_same_name_gets_runs_of_its_own(
    client, mlflow_server, ledger_on_disk, tmp_path
):
    first = ledger_on_disk("namesake")
    write_search(first, trials=1)
    assert catch_up(first.path, mlflow_server.uri, PATIENCE)
    first.path.rename(tmp_path / "away")
    first.events.clear()
    write_search(first, trials=1)
    assert catch_up(first.path, mlflow_server.uri, PATIENCE)
    assert len(runs_of(client, first)) == 4


def test_deleted_runs_and_experiments_come_back_with_their_whole_history(
    client, mlflow_server, ledger_on_disk, caplog
):
    search = ledger_on_disk("deleted")
    write_search(search, trials=2)
    tracker = Tracker(search.path, mlflow_server.uri).start()
    assert tracker.drain(PATIENCE)
    doomed = next(run for run in runs_of(client, search) if run.data.tags.get("trial") == "t0001")
    client.delete_run(doomed.info.run_id)
    search.end("t0001", "stopped", rung=3)
    assert tracker.drain(PATIENCE)
    runs = assert_mirrored(client, search)
    assert "run of t0001 was deleted" in caplog.text
    client.delete_experiment(runs[SEARCH].info.experiment_id)
    search.end("t0002", "complete", rung=3)
    assert tracker.drain(PATIENCE)
    tracker.close()
    assert_mirrored(client, search)


def test_a_value_that_mlflow_refuses_holds_nothing_else_up(
    client, mlflow_server, ledger_on_disk, caplog
):
    search = ledger_on_disk("refused")
    search.begin()
    trial = search.trial(1, **{"learning_rate": 1e-3, "not (allowed) @ all": 1})
    search.segment(trial, to_rung=1)
    search.report(trial, 1, 0.3)
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    run = next(run for run in runs_of(client, search) if run.data.tags.get("trial") == trial)
    assert run.data.params == {"learning_rate": "0.001"}
    assert run.data.metrics["dev_eer"] == 0.3
    assert "refuses a value of t0001" in caplog.text


def test_events_that_cannot_be_understood_are_left_out(
    client, mlflow_server, ledger_on_disk, caplog
):
    search = ledger_on_disk("odd")
    search.begin()
    search.write("report", trial="t0404", epoch=1)
    trial = search.trial(1, learning_rate=1e-3)
    with search.path.open("a") as ledger:
        ledger.write('{"event": "torn')
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    assert {run.data.tags.get("trial") for run in runs_of(client, search)} == {None, trial}
    assert "event left out of MLflow: number=3" in caplog.text


def test_only_one_process_feeds_from_a_ledger(mlflow_server, ledger_on_disk):
    search = ledger_on_disk("contended")
    write_search(search, trials=1)
    with take_turn(search.path.parent):
        assert take_turn(search.path.parent) is None
        assert catch_up(search.path, mlflow_server.uri)
        waiting = Tracker(search.path, mlflow_server.uri).start()
        assert not waiting.drain(0.2)
        assert "another process" in waiting.health().error
    assert waiting.drain(PATIENCE)
    assert waiting.health().ok
    waiting.close()


def eventually(condition, seconds: float = 20.0) -> bool:
    """Whether it comes true; MLflow's client takes seconds to be imported."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_server_that_is_away_costs_nobody_time_and_its_password_is_not_told(
    ledger_on_disk, caplog
):
    search = ledger_on_disk("away")
    write_search(search, trials=1)
    tracker = Tracker(search.path, "http://me:secret@127.0.0.1:9").start()
    assert not tracker.drain(0.5)
    assert eventually(lambda: not tracker.health().ok)
    health = tracker.health()
    assert health.queued == len(search.events)
    began = time.monotonic()
    tracker.close()
    assert time.monotonic() - began < 2
    assert "secret" not in health.error + caplog.text
    assert tracker.address() == ""


def test_a_server_that_stays_away_is_started_again_but_not_over_and_over(ledger_on_disk, caplog):
    search = ledger_on_disk("gone")
    write_search(search, trials=1)
    revivals = []

    def revive() -> None:
        revivals.append(time.monotonic())
        raise OSError("no memory for mysql://me:secret@db")

    tracker = Tracker(search.path, "http://127.0.0.1:9", revive).start()
    assert eventually(lambda: tracker._failures > 2)
    tracker.close()
    assert len(revivals) == 1
    assert "cannot be started again: no memory for mysql://***@db" in caplog.text


def test_the_clients_settings_are_put_back(mlflow_server, ledger_on_disk, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    search = ledger_on_disk("settings")
    write_search(search, trials=1)
    assert catch_up(search.path, mlflow_server.uri, PATIENCE)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


class DrivingThread(threading.Thread):
    """Goes on with a search for as long as the context lasts; MLflow is none of its business."""

    def __init__(self, search) -> None:
        super().__init__()
        self.search = search
        self.stop = threading.Event()

    def run(self) -> None:
        for number in range(10, 400):
            trial = self.search.trial(number, learning_rate=1 / number, loss="aam_softmax")
            self.search.segment(trial, to_rung=1)
            self.search.report(trial, 1, 1 / number)
            if self.stop.wait(0.4):
                return

    def __enter__(self) -> "DrivingThread":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.join()


@pytest.mark.timeout(150)
def test_a_server_killed_in_mid_search_and_back_has_every_point_once(
    client, mlflow_server, ledger_on_disk
):
    search = ledger_on_disk("outage")
    write_search(search, trials=2)
    tracker = Tracker(search.path, mlflow_server.uri).start()
    assert tracker.drain(PATIENCE)
    with DrivingThread(search):
        time.sleep(1)
        mlflow_server.kill()
        time.sleep(10)
        health = tracker.health()
        mlflow_server.revive()
        mlflow_server.wait_ready()
    assert tracker.drain(PATIENCE)
    assert not health.ok
    assert health.queued > 0
    assert tracker.health().ok
    tracker.close()
    assert_mirrored(client, search)
