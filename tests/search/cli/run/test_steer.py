"""The verbs that steer a search, and what they refuse."""

import pytest

from search.ledger.ledger import Ledger
from search.requests.messages import Budget, Pause, Stop, Unpause, who
from spkmodel.config import TrainConfig
from tests.support.command_line import answered, failed


def test_stop_says_whether_a_driver_was_asked_or_none_was_needed(capsys, handed_on):
    calls = handed_on("search.engine.request_handler.ask", "asked")
    assert "search night is asked to stop" in answered(capsys, "stop", "night", "--now")
    assert calls[0] == (("night", Stop(by=who(), trial=None, now=True)), {})
    handed_on("search.engine.request_handler.ask", "recorded")
    assert "trial t0001 of search night is stopped" in answered(capsys, "stop", "night", "t0001")


@pytest.mark.usefixtures("night")
def test_stopping_what_does_not_run_or_is_not_there_is_told(capsys):
    assert failed(capsys, "stop", "night")[0] == 2
    assert failed(capsys, "stop", "night", "t0009")[0] == 6
    assert failed(capsys, "stop", "day")[0] == 6


@pytest.mark.usefixtures("night")
def test_steering_verbs_hand_on_who_asks_and_what(capsys, handed_on):
    calls = handed_on("search.engine.request_handler.ask", "done")
    assert "search night is paused" in answered(capsys, "pause", "night")
    assert "search night goes on" in answered(capsys, "resume", "night")
    said = answered(capsys, "budget", "night", "--trials", "48", "--hours", "1.5")
    assert said == "search night: trials 48, hours 1.5\n"
    asked = [Pause(by=who()), Unpause(by=who()), Budget(by=who(), trials=48, hours=1.5)]
    assert [call[0][1] for call in calls][:3] == asked
    said = answered(capsys, "budget", "night", "--trials", "2")
    assert "3 trials have begun already: no new one begins" in said
    handed_on("search.engine.request_handler.ask", "recorded")
    said = answered(capsys, "budget", "night", "--max-epochs", "27")
    assert "spksearch launch quickstart --name night" in said


@pytest.mark.usefixtures("night")
def test_a_budget_must_be_named_and_be_one(capsys):
    assert "which budget?" in failed(capsys, "budget", "night")[1]
    assert "--hours must be positive" in failed(capsys, "budget", "night", "--hours", "inf")[1]
    assert failed(capsys, "budget", "night", "--trials", "0")[0] == 2
    assert failed(capsys, "budget", "day", "--trials", "3")[0] == 6


def test_an_entry_or_a_changed_trial_is_added_where_nobody_drives(capsys, night):
    said = answered(capsys, "add", "night", "--entry", "116", "--set", "seed=3")
    assert said.startswith("entry 116 with seed=3 is tried next in search night; it is one of the ")
    assert "trials of the budget, of which 3 have begun or wait\nit does not run" in said
    line = ["add", "night", "--trial", "t0002", "--set", "encoder.channels=72"]
    assert "t0002 with encoder.channels=72" in answered(capsys, *line)
    assert "waits for its turn" in failed(capsys, *line)[1]
    answered(capsys, "add", "night", "--entry", "122")
    state = Ledger.open(night).state()
    first, second, third = state.queue.values()
    assert (first.log_entry, first.axes) == ("", {"entry": "116"})
    assert TrainConfig.model_validate(first.config).seed == 3
    assert (second.origin, second.config["encoder"]["channels"]) == (
        "added: t0002 with encoder.channels=72",
        72,
    )
    assert (third.origin, third.log_entry) == ("added: entry 122", "122")


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ([], 2, "what is to be tried?"),
        (["--entry", "116", "--trial", "t0001"], 2, "what is to be tried?"),
        (["--trial", "t0001"], 2, "t0001 has been tried; say what is to be different"),
        (["--trial", "t0009", "--set", "seed=1"], 6, "no trial 't0009'"),
        (["--trial", "t0001", "--set", "seed"], 2, "--set takes PATH=VALUE"),
        (["--trial", "t0001", "--set", "encoder.chanels=8"], 2, "did you mean channels?"),
        (["--trial", "t0001", "--set", "encoder.channels=-8"], 2, "encoder.channels"),
        (["--trial", "t0001", "--set", "encoder=7"], 2, "encoder"),
        (["--trial", "t0001", "--scale", "small", "--set", "seed=1"], 2, "go with --entry"),
        (["--entry", "999"], 2, "no entry '999'"),
        (["--entry", "110"], 2, "starts from the weights of entry 106"),
        (["--entry", "116", "--scale", "small"], 2, "--scale needs the packed corpus"),
    ],
)
def test_what_cannot_be_added_says_what_would_be_right(capsys, line, code, words):
    said = failed(capsys, "add", "night", *line)
    assert said[0] == code
    assert words in said[1]
