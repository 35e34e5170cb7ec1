"""What a person types, and what comes back: help, one message an error, an exit code."""

import json
import re
import resource
import subprocess
import sys

import pytest

from search.cli.app import run
from tests.support.command_line import answered, failed

VERBS = (
    *("demo", "describe", "launch", "list", "status", "trials", "best", "show", "stop", "promote"),
    *("pause", "resume", "add", "budget", "logs", "wait"),
    *("evaluate", "import-voxceleb-trainer", "ui", "doctor", "corpus", "notebook", "replay"),
)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_verb_has_help_with_an_example_before_its_options(capsys, verb, flag):
    text = answered(capsys, verb, flag)
    example_line = re.search(rf"^ +spksearch {verb}", text, re.MULTILINE)
    assert example_line is not None
    assert example_line.start() < text.index("Options:")


def test_the_help_lists_every_verb_and_every_exit_code(capsys):
    text = answered(capsys, "--help")
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", text, re.MULTILINE)
    assert "7 not finished yet" in text


def test_only_the_verbs_and_flags_of_today_exist(capsys):
    for line in (["gc", "a"], ["launch", "triplet", "--storage", "x"], ["replay"]):
        assert failed(capsys, *line)[0] == 2


def test_help_and_describe_load_nothing_heavy():
    code = (
        "import sys; from search.cli.app import run; run(['--help']); run(['describe', 'triplet']);"
        "run(['list']); heavy = {'torch', 'ray', 'mlflow', 'optuna', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.serial  # beside others, processor time is not its own either
@pytest.mark.parametrize("line", [["--help"], ["describe", "triplet"]])
def test_help_and_describe_take_less_than_a_second(line):
    # Processor time: what the clock says while other tests run tells nothing of this program.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "search", *line], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_an_unknown_verb_exits_2_and_names_the_nearest(capsys):
    code, said = failed(capsys, "lanch", "triplet")
    assert code == 2
    assert "'launch'" in said


def test_an_unknown_flag_exits_2_and_names_the_nearest(capsys):
    code, said = failed(capsys, "launch", "triplet", "--trails", "3")
    assert code == 2
    assert "--trials" in said
    assert "spksearch launch --help" in said


@pytest.mark.parametrize(
    "line",
    [
        ["launch", "triplet", "--corpus", "x", "--trials", "0"],
        ["launch", "triplet", "--corpus", "x", "--trials", "many"],
        ["launch", "triplet", "--corpus", "x", "--dev-condition", "dirty"],
        ["launch", "triplet", "--corpus", "x", "--rule", "hope"],
        ["show", "night"],
        ["ui", "--port", "70000"],
    ],
)
def test_a_value_that_cannot_be_exits_2_and_names_its_flag(capsys, line):
    code, said = failed(capsys, *line)
    assert code == 2
    assert line[-2] in said or "TRIAL" in said
    assert "Value error" not in said


def test_a_name_that_leaves_the_home_folder_exits_2(capsys):
    assert failed(capsys, "status", "../elsewhere")[0] == 2


def test_debug_shows_the_traceback_wherever_it_stands(capsys):
    for line in (["--debug", "status", "nope"], ["status", "nope", "--debug"]):
        assert run(line) == 6
        assert "Traceback" in capsys.readouterr().err


def test_an_error_that_ends_a_verb_becomes_its_exit_code(capsys, monkeypatch):
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/read-only")

    monkeypatch.setattr("search.core.paths.list_searches", broken)
    code, said = failed(capsys, "list")
    assert code == 3
    assert "/read-only: Permission denied" in said
    assert "SPKSEARCH_HOME" in said


def test_ctrl_c_exits_130(capsys, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("search.core.paths.list_searches", interrupted)
    code, said = failed(capsys, "list")
    assert code == 130
    assert "interrupted" in said


@pytest.mark.parametrize(
    ("line", "schema"),
    [
        (["describe", "triplet"], "spksearch.describe/1"),
        (["list"], "spksearch.list/1"),
        (["status", "night"], "spksearch.status/1"),
        (["trials", "night"], "spksearch.trials/1"),
        (["show", "night", "t0002"], "spksearch.trial/1"),
    ],
)
@pytest.mark.usefixtures("night")
def test_json_is_all_there_is_on_stdout_and_names_its_schema(capsys, line, schema):
    assert json.loads(answered(capsys, *line, "--json"))["schema"] == schema


def test_an_error_leaves_stdout_empty_under_json(capsys):
    assert failed(capsys, "status", "nope", "--json")[0] == 6


@pytest.mark.usefixtures("night")
def test_without_a_terminal_there_is_no_escape_sequence(capsys):
    for line in (["list"], ["status", "night"], ["show", "night", "t0002"]):
        assert "\x1b" not in answered(capsys, *line)


def test_the_version_is_printed(capsys):
    assert answered(capsys, "--version").startswith("spksearch ")
