"""Looking on from elsewhere: when waiting ends, and what is heard of a search's logs."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from search.cli import app, error_handling
from search.core.errors import (
    EnvironmentSetupError,
    GateNotMet,
    Interrupted,
    NotFinished,
    NotFound,
    NoUsableTrial,
    SpksearchError,
    UsageError,
)
from search.core.lease import this_process
from search.launch import background, exit_record, follow, launch_record, ray_job
from search.launch.follow import driver_log, trial_log, wait
from search.launch.launch_record import BackgroundLaunch, format_arguments
from search.launch.open_search import describe_status, read_state
from search.launch.settings import LaunchRequest
from search.ledger.ledger import Ledger
from search.reporting.snapshot import take_snapshot
from spkmodel.core.process_identity import process_start
from tests.support.events import append
from tests.support.scripted_search import ScriptedSearch


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(follow, "_GRACE_SECONDS", 0.05)


def _written(home, tale):
    folder = home / "trip"
    folder.mkdir(exist_ok=True)
    records = [json.loads(event.to_line()) | {"search": "trip"} for event in tale.events]
    for record in records:
        if record["event"] == "search":
            record["space"] = "quickstart"
    lines = [json.dumps(record) + "\n" for record in records]
    (folder / "ledger.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def tale():
    made = ScriptedSearch()
    made.train(made.trial(), 1, 0.3)
    return made


def _here(**changes):
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": process_start(os.getpid())}
    return BackgroundLaunch(kind="process", **({"by": "anna"} | me | changes))


# --- wait ------------------------------------------------------------------------------------


def test_waiting_ends_with_the_search(spksearch_home, tale):
    folder = _written(spksearch_home, tale)

    def drive():
        with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
            begun.set()
            time.sleep(0.3)
            append(ledger, "finish", reason="all trials tried", totals={})

    begun = threading.Event()
    driver = threading.Thread(target=drive)
    driver.start()
    begun.wait()
    state = wait("trip", 30)
    driver.join()
    assert state.finish.reason == "all trials tried"
    assert list(state.trials) == ["t0001"]


def test_waiting_for_a_search_without_a_usable_trial_says_so(spksearch_home):
    tale = ScriptedSearch()
    tale.record("finish", reason="all trials tried", totals={})
    _written(spksearch_home, tale)
    with pytest.raises(NoUsableTrial, match=r"none of its 0 trials has a dev EER"):
        wait("trip", 5)


def test_waiting_ends_when_the_driver_is_gone_or_the_time_is_up(spksearch_home, tale):
    folder = _written(spksearch_home, tale)
    with pytest.raises(EnvironmentSetupError, match=r"nobody drives.*\n.*launch quickstart --name"):
        wait("trip", 5)
    with (
        Ledger.open(folder / "ledger.jsonl", write=True),
        pytest.raises(NotFinished, match=r"0\.1"),
    ):
        wait("trip", 0.1)
    with pytest.raises(NotFound, match="no search 'trap'"):
        wait("trap", 5)


def test_a_launch_that_is_preparing_is_waited_for_and_one_that_has_died_is_not(spksearch_home):
    launch_record.write("trip", _here())
    with pytest.raises(NotFinished):
        wait("trip", 0.2)
    launch_record.write("trip", _here(started="0-1"))
    with pytest.raises(EnvironmentSetupError, match="ended before the search began\n"):
        wait("trip", 5)
    assert (spksearch_home / "trip" / "detached.json").is_file()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, SpksearchError),
        (2, UsageError),
        (3, EnvironmentSetupError),
        (4, NoUsableTrial),
        (5, GateNotMet),
        (143, Interrupted),
    ],
)
def test_a_launch_that_failed_when_nobody_watched_it_is_told_with_its_exit_code(
    spksearch_home, code, kind
):
    launch_record.write("trip", _here(token="abc"))
    exit_record.write("trip", "abc", code, "no corpus at /nowhere")
    for look in (lambda: wait("trip", 5), lambda: read_state("trip")):
        with pytest.raises(kind, match=rf"code {code}: no corpus at /nowhere") as told:
            look()
        assert error_handling.choose_exit_code(told.value) == code
        assert "before the search began" in str(told.value)
    assert follow.launch_code("trip") == code
    record = launch_record.read("trip")
    assert background.is_running(record) is False, "though its process takes its time to go"
    assert "ended" not in (spksearch_home / "trip" / "detached.json").read_text()


def test_the_end_of_an_earlier_launch_is_not_that_of_the_last_one(spksearch_home, tale):
    launch_record.write("trip", _here(token="new"))
    exit_record.write("trip", "old", 2, "no corpus")
    with pytest.raises(NotFinished):
        wait("trip", 0.1)
    with pytest.raises(NotFinished, match="has recorded nothing yet"):
        read_state("trip")
    launch_record.write("trip", _here(token="new", started="0-1"))
    with pytest.raises(EnvironmentSetupError, match="without a word: killed"):
        read_state("trip")
    exit_record.write("trip", "new", 3, "the Ray cluster at head:6379 does not answer")
    _written(spksearch_home, tale)
    with pytest.raises(EnvironmentSetupError, match="ended with exit code 3: the Ray cluster"):
        wait("trip", 5)
    assert read_state("trip").trials, "what was recorded is shown all the same"


def test_a_launch_in_the_background_writes_down_how_it_ended(spksearch_home, monkeypatch):
    for key, value in exit_record.environment("trip", "abc").items():
        monkeypatch.setenv(key, value)
    assert app.run(["launch", "quickstart", "--no-such-flag"]) == 2
    end = exit_record.read(spksearch_home / "trip", "abc")
    assert (end.code, "no-such-flag" in end.words) == (2, True)
    assert app.run(["status", "trip"]) == 6
    assert exit_record.read(spksearch_home / "trip", "abc") == end, "what it starts is no launch"


def test_a_job_whose_ledger_is_elsewhere_is_not_said_to_have_done_nothing(
    spksearch_home, monkeypatch
):
    job = launch_record.BackgroundLaunch(
        kind="job", by="me", address="http://a:8265", submission_id="s-1"
    )
    launch_record.write("trip", job)
    monkeypatch.setattr(ray_job, "is_running", lambda _: False)
    with pytest.raises(EnvironmentSetupError, match="does not share") as caught:
        wait("trip", 5)
    assert str(spksearch_home) in str(caught.value)


def test_a_driver_that_has_said_nothing_yet_is_starting(spksearch_home, tale):
    folder = _written(spksearch_home, tale)
    assert describe_status("trip", read_state("trip")) == "interrupted"
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        assert describe_status("trip", read_state("trip")) == "starting"
        now = take_snapshot(read_state("trip"), status="starting")
        assert (now.running, now.commands[-1]) == ((), "spksearch stop trip")
        me = this_process()
        append(ledger, "driver", host=me.host, pid=me.pid, started=me.started)
        assert describe_status("trip", read_state("trip")) == "running"
        append(ledger, "stop", trial=None, now=False, by="anna")
        assert take_snapshot(read_state("trip"), status="running").reason == "asked to stop"
        append(ledger, "finish", reason="asked to stop", totals={})
    assert describe_status("trip", read_state("trip")) == "finished"
    with Ledger.open(folder / "ledger.jsonl", write=True, drives=False):
        assert describe_status("trip", read_state("trip")) == "finished", (
            "a look at it is no driver"
        )


# --- logs ------------------------------------------------------------------------------------


def test_a_trials_log_is_shown_as_far_as_there_is_one(spksearch_home, tale):
    folder = _written(spksearch_home, tale)
    with pytest.raises(NotFinished, match="t0001 of search 'trip' has said nothing yet"):
        trial_log("trip", "t0001", follow=False)
    (folder / "trials" / "t0001").mkdir(parents=True)
    (folder / "trials" / "t0001" / "log.txt").write_text("epoch 1\n")
    assert list(trial_log("trip", "t0001", follow=False)) == ["epoch 1\n"]
    with pytest.raises(NotFound, match="no trial 't0009'"):
        trial_log("trip", "t0009", follow=False)


def test_a_log_is_followed_until_its_trial_ends(spksearch_home, tale):
    folder = _written(spksearch_home, tale)
    log = folder / "trials" / "t0001" / "log.txt"
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        pieces = trial_log("trip", "t0001", follow=True)
        log.parent.mkdir(parents=True)
        log.write_text("epoch 1\n")
        assert next(pieces) == "epoch 1\n"
        with log.open("a") as file:
            file.write("epoch 2\n")
        assert next(pieces) == "epoch 2\n"
        end = {"state": "stopped", "reason": "", "by": "rule", "kind": "", "rung": 1}
        append(ledger, "end", trial="t0001", **end)
        assert list(pieces) == []


def test_a_letter_of_several_bytes_that_is_written_in_two_halves_is_read_as_one(
    spksearch_home, tale
):
    folder = _written(spksearch_home, tale)
    log = folder / "trials" / "t0001" / "log.txt"
    log.parent.mkdir(parents=True)
    whole = "épreuve".encode()
    with Ledger.open(folder / "ledger.jsonl", write=True) as ledger:
        log.write_bytes(b"1 " + whole[:1])
        pieces = trial_log("trip", "t0001", follow=True)
        heard = next(pieces)
        with log.open("ab") as file:
            file.write(whole[1:])
        end = {"state": "stopped", "reason": "", "by": "rule", "kind": "", "rung": 1}
        append(ledger, "end", trial="t0001", **end)
        assert heard + "".join(pieces) == "1 épreuve"


@pytest.mark.usefixtures("spksearch_home")
def test_waiting_for_a_search_that_lost_too_many_trials_exits_like_its_launch(
    spksearch_home, tale, capsys
):
    tale.record("search", max_failed=0)
    tale.record("finish", reason="more than 0 trials failed", totals={})
    _written(spksearch_home, tale)
    assert app.run(["wait", "trip"]) == 5
    told = capsys.readouterr()
    assert "best t0001" in told.out
    assert "larger --max-failed" in told.err


def test_what_a_launch_says_is_there_only_of_one_in_the_background(spksearch_home, tale):
    folder = _written(spksearch_home, tale)
    with pytest.raises(NotFound, match="not launched with --detach"):
        driver_log("trip", follow=False)
    launch_record.write("trip", _here(started="0-1"))
    (folder / "launch.log").write_text("trip running\n")
    assert list(driver_log("trip", follow=True)) == ["trip running\n"]


# --- launch --detach -------------------------------------------------------------------------


def test_every_field_of_a_request_is_in_the_words_of_a_command_but_no_secret(monkeypatch):
    from search.cli.app import run

    full = LaunchRequest(
        space="triplet",
        corpus=Path("/data/speech"),
        objectives=("dev_eer", "encoder_parameters"),
        dev_condition="mismatched",
        rule="stopping",
        warm_start="logged",
        noise=Path("/data/noise"),
        allow_overlap=True,
        tracking_uri="https://anna:secret@mlflow",
        gpus_per_trial=0.5,
        default_trial=False,
        rungs=(1, 3),
    )
    numbers = {
        "int | None": 3,
        "float | None": 2.5,
        "str | None": "word",
        "Path | None": Path("/x"),
    }
    rest = {
        field.name: numbers[str(field.type)]
        for field in dataclasses.fields(full)
        if getattr(full, field.name) is None and str(field.type) in numbers
    }
    full = dataclasses.replace(full, **rest)
    words = format_arguments(full)
    assert not any("secret" in word for word in words)
    asked = []
    monkeypatch.setattr("search.launch.launch.launch", lambda request, _: asked.append(request))
    run(words)
    assert asked == [dataclasses.replace(full, tracking_uri=None)]


def test_a_launch_in_the_background_that_is_wrong_is_told_at_once(spksearch_home, tmp_path):
    request = LaunchRequest(space="quickstart", corpus=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="nowhere"):
        background.launch(request, "anna")
    assert "nowhere" in (spksearch_home / "quickstart" / "launch.log").read_text()
    record = launch_record.read("quickstart")
    assert (record.by, record.host) == ("anna", socket.gethostname())
    assert background.is_running(record) is False
    assert (record.ended.code, "nowhere" in record.ended.words) == (2, True)
    with pytest.raises(UsageError, match="no space"):
        background.launch(LaunchRequest(space="quickstrat", corpus=tmp_path), "anna")
    with pytest.raises(UsageError, match="leave out --detach"):
        background.launch(LaunchRequest(space="quickstart", corpus=tmp_path, dry_run=True), "anna")


def test_a_search_that_is_driven_or_being_launched_is_not_launched_again(spksearch_home, tmp_path):
    request = LaunchRequest(space="quickstart", corpus=tmp_path)
    path = spksearch_home / "quickstart" / "ledger.jsonl"
    with Ledger.open(path, write=True), pytest.raises(EnvironmentSetupError, match="is driven by"):
        background.launch(request, "anna")
    launch_record.write("quickstart", _here())
    with pytest.raises(EnvironmentSetupError, match=f"launched already, by process {os.getpid()}"):
        background.launch(request, "anna")


@pytest.mark.usefixtures("spksearch_home")
def test_a_launch_that_is_ended_while_it_prepares_has_ended_by_a_signal():
    sleeper = subprocess.Popen(["sleep", "60"])
    started = process_start(sleeper.pid)
    launch_record.write("trip", _here(pid=sleeper.pid, started=started, token="abc"))
    assert background.end_early("trip").pid == sleeper.pid
    assert sleeper.wait(5) == -signal.SIGTERM
    assert background.end_early("trip") is None
    with pytest.raises(Interrupted, match="exit code 143: ended by spksearch stop") as told:
        wait("trip", 5)
    assert error_handling.choose_exit_code(told.value) == 143
    with pytest.raises(Interrupted, match="143: killed by signal 15"):
        raise exit_record.from_process("abc", sleeper.returncode, "").problem("it")


def test_a_launch_that_prepares_on_another_machine_is_ended_there(spksearch_home, tale):
    launch_record.write("trip", _here(host="elsewhere", token="abc"))
    with pytest.raises(
        EnvironmentSetupError, match=r"on elsewhere prepares .* on that machine does"
    ):
        background.end_early("trip")
    _written(spksearch_home, tale)
    assert background.end_early("trip") is None, "what drives, or does not, is asked by its ledger"


def test_a_signal_ends_a_launch_in_the_background_that_is_only_loading_its_libraries(
    spksearch_home,
):
    program = (
        "import os, signal, search.cli.app as c; c._carry_out = lambda _: os.kill(os.getpid(), 15)"
    )
    environment = {**os.environ, **exit_record.environment("trip", "abc")}
    line = [sys.executable, "-c", f"{program}; c.run([])"]
    assert subprocess.run(line, env=environment, check=False).returncode == 143
    end = exit_record.read(spksearch_home / "trip", "abc")
    assert (end.code, end.words) == (143, "interrupted by SIGTERM")


def test_of_two_launches_in_the_background_at_once_the_second_sees_the_first(tmp_path, monkeypatch):
    def start(name, _, by):
        time.sleep(0.1)
        launch_record.write(name, _here(by=by))
        return None, _here(), 0

    monkeypatch.setattr(background, "_start_here", start)
    monkeypatch.setattr(background, "_watch_start", lambda *_: None)
    request = LaunchRequest(space="quickstart", corpus=tmp_path)
    told = []

    def launch(by):
        try:
            told.append(background.launch(request, by))
        except EnvironmentSetupError as problem:
            told.append(str(problem))

    both = [threading.Thread(target=launch, args=(by,)) for by in ("anna", "bob")]
    for each in both:
        each.start()
    for each in both:
        each.join()
    (refused,) = [each for each in told if isinstance(each, str)]
    assert "is being launched already, by process" in refused


def test_a_record_that_cannot_be_read_is_none(spksearch_home):
    (spksearch_home / "trip").mkdir(parents=True)
    for text in ("", "[]", '{"kind": "process"}', '{"kind": "job", "colour": 1, "by": "x"}'):
        (spksearch_home / "trip" / "detached.json").write_text(text)
        assert launch_record.read("trip") is None
