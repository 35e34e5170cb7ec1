"""The main job with real trainings, a real Ray and a real MLflow server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict

import pytest
import soundfile

from search.cli import error_handling
from search.core.errors import NoUsableTrial, UsageError
from search.core.paths import ledger_path
from search.core.progress import Silent
from search.evaluation import evaluate
from search.launch import launch
from search.launch.settings import LaunchRequest
from search.launch.summary import summarise_outcome
from search.ledger.ledger import Ledger
from search.ledger.queue import QueuedTrial
from search.promotion import promote
from search.scheduler import audit, rung_queries
from tests.support import tone_corpus
from tests.support.tiny_space import SPACE

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tone_corpus.write_corpus(tmp_path_factory.mktemp("buzz"))


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(SPACE)
    return str(path)


@pytest.fixture
def tracked(mlflow_server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    return mlflow_server


def _runs(uri, name):
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.search = '{name}' and tags.kind = 'trial'")
    return client, {run.data.tags["trial"]: run.info.run_id for run in runs}, len(runs)


def _history(client, run_id):
    points = client.get_metric_history(run_id, "dev_eer")
    return sorted((point.step, point.value) for point in points)


def test_a_launch_killed_in_mid_search_goes_on_and_nothing_is_lost_or_doubled(
    corpus, space, spksearch_home, local_ray, tracked
):
    name = "killed"
    command = [sys.executable, "-m", "search", "launch", space, "--corpus", str(corpus)]
    command += ["--name", name, "--trials", "8", "--max-epochs", "9", "--address", local_ray]
    first = subprocess.Popen(command, start_new_session=True)
    try:
        _wait_for_reports(first, name, 5)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    reports_before = _epochs(name)

    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr

    events = list(Ledger.open(ledger_path(name)).events())
    state = Ledger.open(ledger_path(name)).state()
    assert len(state.trials) == 8
    assert Counter(trial.state for trial in state.trials.values()).keys() <= {"complete", "stopped"}
    epochs = _epochs(name)
    assert epochs[: len(reports_before)] == reports_before
    assert len(epochs) == len(set(epochs))
    assert audit.find_wrong_decisions(events) == []
    for rung, results in audit.recompute_rungs(events).items():
        assert results == rung_queries.rung_results(state, rung)

    client, run_of, runs = _runs(tracked.uri, name)
    assert runs == 8
    for trial in state.trials.values():
        wanted = [(epoch, trial.reports[epoch].objective) for epoch in sorted(trial.reports)]
        assert _history(client, run_of[trial.trial]) == wanted
    assert not list((spksearch_home / name).glob(".tune-*"))


def _epochs(name):
    events = Ledger.open(ledger_path(name)).events()
    return [(e.trial, e.epoch) for e in events if e.event == "report"]


def _wait_for_reports(process, name, count):
    deadline = time.monotonic() + 120
    while not ledger_path(name).is_file() or len(_epochs(name)) < count:
        assert process.poll() is None, f"the driver ended with {process.returncode}"
        assert time.monotonic() < deadline, "no reports in two minutes"
        time.sleep(0.02)


def test_a_search_that_was_stopped_by_hand_goes_on_and_one_at_its_budget_does_not(ledger_on_disk):
    search = ledger_on_disk("night")
    search.begin(trials=2, hours=None)
    search.report(_segment(search, 1), 1, 0.3)
    search.write("stop", trial=None, now=False, by="me")
    search.finish()
    assert launch.has_work(Ledger.open(search.path))
    search.write("driver", host="here", pid=2, started="0-2")
    search.report(_segment(search, 2), 1, 0.2)
    for epoch in (2, 3):
        search.segment("t0002", 3, from_epoch=1, attempt=epoch)
        search.report("t0002", epoch, 0.2, attempt=epoch)
    assert launch.has_work(Ledger.open(search.path)), "one of two may still advance"
    search.write("search", rungs=[1, 3])
    search.finish()
    assert not launch.has_work(Ledger.open(search.path))


def test_a_space_that_ran_out_is_not_asked_again_unless_something_has_changed(ledger_on_disk):
    search = ledger_on_disk("night")
    search.begin(trials=9, hours=None, rungs=[1])
    search.report(_segment(search, 1), 1, 0.3)
    search.write("exhausted", trials=1)
    ledger = Ledger.open(search.path)
    assert launch.has_work(ledger), "its books are not closed"
    search.finish()
    assert not launch.has_work(ledger)
    for change in (
        {"trials": 12},
        {"hours": 2.0},
        {"space_sha256": "6" * 64},
    ):
        search.write("search", **change)
        assert launch.has_work(ledger), change
        search.write("exhausted", trials=1)
        search.finish()
        assert not launch.has_work(ledger)
    wish = QueuedTrial("added/1", {}, "added: by hand")
    search.write("queued", **asdict(wish))
    assert launch.has_work(ledger), "what somebody wishes for is tried all the same"


def test_a_search_whose_driver_died_before_its_last_word_is_driven_to_it(ledger_on_disk):
    search = ledger_on_disk("night")
    search.begin(trials=1, hours=None, rungs=[1])
    search.report(_segment(search, 1), 1, 0.3)
    search.end("t0001", "complete", 1)
    assert launch.has_work(Ledger.open(search.path))
    search.finish()
    assert not launch.has_work(Ledger.open(search.path))


def test_a_search_that_lost_more_trials_than_it_may_shows_its_summary_and_has_a_problem(
    ledger_on_disk,
):
    search = ledger_on_disk("night")
    search.begin(trials=9, hours=None, max_failed=0)
    search.report(_segment(search, 1), 1, 0.3)
    search.segment(search.trial(2), 1)
    search.end("t0002", "failed", 0, "diverged: loss is nan at epoch 1")
    ledger = Ledger.open(search.path)
    search.write("finish", reason="more than 0 trials failed", totals={})
    assert not launch.has_work(ledger)
    outcome = summarise_outcome("night", ledger.state())
    assert "best: " in str(outcome.lines)
    assert error_handling.choose_exit_code(outcome.problem) == 5
    assert "more than 0 of its trials failed (1 diverged)" in str(outcome.problem)
    search.write("search", max_failed=1)
    assert launch.has_work(ledger), "the same launch with a larger number goes on"


def _segment(search, number):
    trial = search.trial(number)
    search.segment(trial, 1)
    return trial


@pytest.mark.usefixtures("spksearch_home", "local_ray", "tracked")
def test_launch_promote_and_evaluate_tell_one_story(corpus, space, tmp_path):
    request = LaunchRequest(space=space, corpus=corpus, name="story", trials=4, max_epochs=3)
    outcome = launch.launch(request, Silent())
    assert outcome.state == "finished"
    again = launch.launch(request, Silent())
    assert again.state == "finished"
    state = Ledger.open(ledger_path("story")).state()
    assert len(state.sessions) == 1, "a finished search is not driven again"
    assert [trial.origin for trial in state.trials.values()] == ["default", *["sampler"] * 3]

    report = promote.promote("story", model="story", display=Silent())
    assert report.document["trial"] == state.ranked()[0].trial
    assert set(report.document["test"]["conditions"]) == {"clean", "mismatched"}
    assert (report.folder / "scores.txt").read_text().count("\n") == 20
    judged = evaluate.evaluate(
        "models:/story@candidate",
        corpus,
        corpus / "test_trials.txt",
        out=tmp_path / "again",
        display=Silent(),
    )
    clean = report.document["test"]["conditions"]["clean"]
    assert judged.document["eer"] == pytest.approx(clean["eer"], abs=1e-9)
    json.dumps(report.as_json(), allow_nan=False)


@pytest.mark.usefixtures("local_ray", "tracked")
def test_a_dry_run_writes_nothing_and_another_corpus_is_refused(
    corpus, space, spksearch_home, tmp_path
):
    request = LaunchRequest(space=space, corpus=corpus, name="first", trials=1, max_epochs=1)
    planned = LaunchRequest(**(vars(request) | {"dry_run": True}))
    assert launch.launch(planned, Silent()).state == "planned"
    assert list(spksearch_home.iterdir()) == []
    launch.launch(request, Silent())
    other = tone_corpus.write_corpus(tmp_path / "other")
    lines = (other / "train_list.txt").read_text().splitlines()
    (other / "train_list.txt").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UsageError, match="the corpus"):
        launch.launch(LaunchRequest(**(vars(request) | {"corpus": other})), Silent())


@pytest.mark.usefixtures("spksearch_home", "local_ray", "tracked")
def test_a_search_whose_every_trial_collapses_has_no_usable_trial(space, tmp_path):
    alike = tone_corpus.write_corpus(tmp_path / "alike")
    for path in [*alike.glob("wav/s6/*.flac"), *alike.glob("wav/s7/*.flac")]:
        soundfile.write(path, tone_corpus.voice(6, 0), 16000)
    request = LaunchRequest(space=space, corpus=alike, name="alike", trials=2, max_epochs=3)
    with pytest.raises(NoUsableTrial, match=r"none of its 2 trials has a dev EER .*collapsed"):
        launch.launch(request, Silent())
    state = Ledger.open(ledger_path("alike")).state()
    assert {trial.state for trial in state.trials.values()} == {"failed"}
    assert not any(trial.reports for trial in state.trials.values())
