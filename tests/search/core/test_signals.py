"""A signal to end that comes while nothing is training."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager

import pytest

from search.cli import error_handling
from search.core import signals
from search.core.errors import EnvironmentSetupError, Interrupted, SignalReceived
from search.core.lease import find_live_driver
from search.core.paths import ledger_path
from search.core.progress import Silent
from search.engine.request_handler import ask
from search.launch import drive, launch, preparation
from search.launch.settings import LaunchRequest, decide, read_settings
from search.ledger.ledger import Ledger
from search.requests.messages import Budget
from search.space import loader

SPACE = loader.load("quickstart")
BOTH = (signal.SIGINT, signal.SIGTERM)


def _sent(number):
    os.kill(os.getpid(), number)
    time.sleep(5)
    raise AssertionError("nobody heard it")


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_is_raised_where_it_comes_and_afterwards_means_what_it_meant(number):
    before = [signal.getsignal(each) for each in BOTH]
    with (
        pytest.raises(SignalReceived, match=signal.Signals(number).name) as told,
        signals.raise_signals(),
    ):
        _sent(number)
    assert error_handling.choose_exit_code(told.value) == 128 + number
    assert [signal.getsignal(each) for each in BOTH] == before


def test_what_ray_makes_of_a_signal_while_it_starts_is_still_a_signal():
    def start():  # as `ray.init` does
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        _sent(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SignalReceived, match="SIGTERM"), signals.restore_handlers():
        start()
    with pytest.raises(SystemExit, match="3"), signals.restore_handlers():
        sys.exit(3)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture
def request_(tmp_path, spksearch_home):
    del spksearch_home
    return LaunchRequest(space="quickstart", corpus=tmp_path, name="trip")


@pytest.mark.parametrize("number", BOTH)
def test_a_launch_that_is_only_preparing_ends_and_says_that_nothing_has_begun(
    request_, monkeypatch, number
):
    monkeypatch.setattr(preparation, "open_checked_corpus", lambda *_: _sent(number))
    with pytest.raises(Interrupted, match="nothing of it has begun") as interrupted:
        launch.launch(request_, Silent())
    assert error_handling.choose_exit_code(interrupted.value) == 128 + number
    assert not ledger_path("trip").exists()


def _settings(request):
    return decide(
        request,
        None,
        space_name="quickstart",
        space_sha256="5" * 64,
        corpus_sha256="c" * 64,
        store="/store",
        dev_store="/store",
        noise_rooms_fingerprint="",
    )


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_while_ray_is_starting_is_told_with_the_command_that_goes_on(
    request_, monkeypatch, number
):
    @contextmanager
    def nothing(*_, **__):
        yield

    monkeypatch.setattr(drive, "_track", nothing)
    monkeypatch.setattr(drive, "connect", lambda *_, **__: _sent(number))
    with pytest.raises(Interrupted, match=r"goes on .*\n  spksearch launch quickstart --name trip"):
        launch.run_search("trip", request_, SPACE, _settings(request_), None, Silent())
    assert find_live_driver(ledger_path("trip").parent) is None
    assert read_settings("trip") == _settings(request_)


def test_a_search_that_others_changed_while_a_launch_was_prepared_is_not_overruled(
    request_, monkeypatch
):
    monkeypatch.setattr(drive, "drive_search", lambda *_: None)
    settings = _settings(request_)
    launch.run_search("trip", request_, SPACE, settings, None, Silent())
    before = read_settings("trip")
    ask("trip", Budget(by="anna", trials=48))
    for stale in (None, before):  # one that thought it was the first, and one that had looked
        with pytest.raises(
            EnvironmentSetupError, match="changed by somebody else while this launch"
        ):
            launch.run_search("trip", request_, SPACE, settings, stale, Silent())
    assert Ledger.open(ledger_path("trip")).state().search.trials == 48
    settings = read_settings("trip")
    launch.run_search("trip", request_, None, settings, settings, Silent())


# --- closed terminals -------------------------------------------------------------------------


@pytest.fixture
def heeds_hangups():
    """The tests themselves may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heeds_hangups")
def test_a_closed_terminal_counts_as_sigterm_and_only_once():
    heard = []
    before = signal.getsignal(signal.SIGHUP)
    with signals.handle_signals(heard.append):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.05)
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) == before


def test_a_closed_terminal_that_is_ignored_from_the_start_stays_ignored():
    heard = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.handle_signals(heard.append):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == []


@pytest.mark.usefixtures("heeds_hangups")
def test_processes_that_are_started_while_hangups_are_ignored_outlive_their_terminal():
    command = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGHUP).name)"]
    with signals.ignore_hangups():
        ignoring = subprocess.run(command, check=True, capture_output=True, text=True)
    plain = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (ignoring.stdout.strip(), plain.stdout.strip()) == ("SIG_IGN", "SIG_DFL")


@pytest.mark.usefixtures("heeds_hangups")
def test_what_is_written_to_a_terminal_that_is_gone_goes_nowhere():
    program = (
        "import os, sys, time\n"
        "from search.core import signals\n"
        "with signals.handle_signals(lambda n: (print('more'), sys.stdout.flush(), os._exit(7))):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(30)\n"
    )
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(slave)
    assert b"ready" in os.read(master, 100)
    os.close(master)
    assert process.wait(timeout=20) == 7
