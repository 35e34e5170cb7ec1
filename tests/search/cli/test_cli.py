"""What a person types, and what comes back: text, JSON, one message an error, an exit code."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.app import run
from search.cli.error_handling import choose_exit_code, format_message
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
from search.ledger.ledger import Ledger
from search.requests.messages import Budget, Pause, Stop, Unpause, who
from spkmodel.config import AAMSoftmax, TrainConfig
from spkmodel.core.condition_names import CONDITIONS
from tests.support import three_trials as example

VERBS = (
    *("demo", "describe", "launch", "list", "status", "trials", "show", "stop", "promote"),
    *("pause", "resume", "add", "budget", "logs", "wait"),
    *("evaluate", "import-voxceleb-trainer", "ui", "doctor", "corpus", "notebook", "replay"),
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("SPKSEARCH_HOME", str(folder))
    return folder


@pytest.fixture
def night(home):
    """The example search, on disk."""
    return example.write(home)


def failed(capsys, *arguments: str) -> tuple[int, str]:
    """The exit code of a line that must fail, and its one message."""
    code = run(arguments)
    out, err = capsys.readouterr()
    assert code != 0
    assert out == ""
    assert "Traceback" not in err
    return code, err


def answered(capsys, *arguments: str) -> str:
    assert run(arguments) == 0
    return capsys.readouterr().out


# --- help ------------------------------------------------------------------------------------


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
    for line in (["compare", "a", "b"], ["launch", "triplet", "--storage", "x"], ["replay"]):
        assert failed(capsys, *line)[0] == 2


def test_help_and_describe_load_nothing_heavy():
    code = (
        "import sys; from search.cli.app import run; run(['--help']); run(['describe', 'triplet']);"
        "run(['list']); heavy = {'torch', 'ray', 'mlflow', 'optuna', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [["--help"], ["describe", "triplet"]])
def test_help_and_describe_take_less_than_a_second(line):
    # Processor time: what the clock says while other tests run tells nothing of this program.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "search", *line], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


# --- what went wrong -------------------------------------------------------------------------


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


def test_an_unknown_space_exits_2_and_names_the_nearest(capsys):
    code, said = failed(capsys, "describe", "tripplet")
    assert code == 2
    assert "did you mean 'triplet'" in said


@pytest.mark.parametrize("verb", ["status", "trials"])
@pytest.mark.usefixtures("night")
def test_an_unknown_search_exits_6_and_names_those_there_are(capsys, verb):
    code, said = failed(capsys, verb, "nigth")
    assert code == 6
    assert "night" in said


@pytest.mark.usefixtures("night")
def test_an_unknown_trial_exits_6(capsys):
    code, said = failed(capsys, "show", "night", "t0009")
    assert code == 6
    assert "t0009" in said


def test_a_name_that_leaves_the_home_folder_exits_2(capsys):
    assert failed(capsys, "status", "../elsewhere")[0] == 2


def test_a_corpus_that_is_not_there_exits_2_with_its_path(capsys, tmp_path):
    code, said = failed(capsys, "corpus", "check", str(tmp_path / "none"))
    assert code == 2
    assert str(tmp_path / "none") in said


def test_a_wrong_line_of_a_list_exits_2_with_its_number(capsys, tmp_path):
    (tmp_path / "train_list.txt").write_text("anna wav/anna/1.wav\nbert\n")
    code, said = failed(capsys, "corpus", "check", str(tmp_path))
    assert code == 2
    assert "train_list.txt:2" in said


def test_a_new_search_without_a_corpus_exits_2_and_says_what_is_missing(capsys):
    code, said = failed(capsys, "launch", "triplet")
    assert code == 2
    assert "--corpus DIR" in said


@pytest.mark.usefixtures("night")
def test_a_damaged_ledger_is_named_and_does_not_hide_the_other_searches(capsys, home):
    (home / "bad").mkdir()
    (home / "bad" / "ledger.jsonl").write_text("not json\n")
    assert run(["list"]) == 0
    out, err = capsys.readouterr()
    assert "night" in out
    assert "bad/ledger.jsonl:1" in err
    code, said = failed(capsys, "status", "bad")
    assert code == 1
    assert "ledger.jsonl:1" in said


def test_a_search_that_has_recorded_nothing_exits_7(capsys, home):
    (home / "new").mkdir(parents=True)
    (home / "new" / "ledger.jsonl").touch()
    assert failed(capsys, "status", "new")[0] == 7


def test_debug_shows_the_traceback_wherever_it_stands(capsys):
    for line in (["--debug", "status", "nope"], ["status", "nope", "--debug"]):
        assert run(line) == 6
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpksearchError("x"), 1),
        (UsageError("x"), 2),
        (EnvironmentSetupError("x"), 3),
        (NoUsableTrial("x"), 4),
        (GateNotMet("x"), 5),
        (NotFound("x"), 6),
        (NotFinished("x"), 7),
        (Interrupted("x", 2), 130),
        (Interrupted("x", 15), 143),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/read-only"), 3),
        (OSError(28, "No space left on device", "/full"), 3),
        (FileNotFoundError(2, "No such file or directory", "/none"), 2),
        (ZeroDivisionError("x"), 1),
        (ValueError("from nowhere"), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert choose_exit_code(error) == code


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


def caught(make) -> Exception:
    try:
        make()
    except Exception as error:  # noqa: BLE001 (whatever it raises is what is looked at)
        return error
    raise AssertionError("no error")


def test_an_unknown_config_key_exits_2_and_names_the_nearest():
    error = caught(lambda: TrainConfig.model_validate({"loss": {"kind": "triplet", "margn": 1}}))
    assert choose_exit_code(error) == 2
    assert format_message(error) == "TrainConfig: loss.margn: no such key; did you mean margin?"


def test_a_misspelt_name_is_told_once_where_a_part_would_do_too():
    error = caught(
        lambda: TrainConfig.model_validate({"encoder": {"kind": "tdnn", "pooling": "x"}})
    )
    assert format_message(error).startswith(
        "TrainConfig: encoder.pooling: input should be 'mean', 'max'"
    )
    assert format_message(error).endswith("got 'x'")
    assert "\n" not in format_message(error)


def test_a_wrong_field_of_a_part_is_told_without_the_parts_kind():
    pooling = {"kind": "multi_head", "heads": 0}
    error = caught(
        lambda: TrainConfig.model_validate({"encoder": {"kind": "tdnn", "pooling": pooling}})
    )
    assert format_message(error).startswith(
        "TrainConfig: encoder.pooling.heads: input should be greater"
    )


def test_a_problem_inside_a_list_of_parts_names_its_place_there():
    terms = [{"loss": {"kind": "softmax"}}, {"loss": {"kind": "triplet", "margn": 1}}]
    loss = {"kind": "combined", "terms": terms}
    error = caught(lambda: TrainConfig.model_validate({"loss": loss}))
    assert format_message(error) == (
        "TrainConfig: loss.terms.1.loss.margn: no such key; did you mean margin?"
    )


def test_a_config_value_out_of_range_names_field_value_and_range():
    error = caught(lambda: AAMSoftmax(margin_rad=3))
    assert format_message(error) == ("AAMSoftmax: margin_rad: input should be less than 1.6, got 3")


def test_a_combination_that_cannot_be_is_told_in_its_own_words():
    error = caught(
        lambda: TrainConfig.model_validate(
            {"loss": {"kind": "triplet"}, "batches": {"utterances": 1}}
        )
    )
    assert format_message(error).startswith("TrainConfig: batches.utterances must be at least 2")


@pytest.mark.parametrize(
    ("config", "beginning"),
    [
        (
            {
                "loss": {
                    "kind": "combined",
                    "terms": [
                        {"loss": {"kind": "softmax"}},
                        {"loss": {"kind": "triplet", "mining": "rank"}},
                    ],
                }
            },
            "loss.terms.1.loss: loss.hard_rank and loss.hard_probability must be given",
        ),
        (
            {"fine_tune": {"from_epoch": 2, "augment": {"snr_db_low": 50}}},
            "fine_tune.augment: augment.snr_db_low must not exceed",
        ),
        (
            {"encoder": {"kind": "log_net", "skip": False, "skip_pooling": "max"}},
            "encoder.skip_pooling=",
        ),
    ],
    ids=["in a list", "in another part", "where it says"],
)
def test_a_combination_inside_a_part_is_told_with_where_the_part_stands(config, beginning):
    error = caught(lambda: TrainConfig.model_validate(config))
    assert format_message(error).startswith(f"TrainConfig: {beginning}")


def test_our_own_value_error_exits_2_and_a_librarys_1():
    ours = caught(lambda: TrainConfig().check_corpus(1, utterances_of_most=1, longest_seconds=9.0))
    theirs = caught(lambda: json.loads("{"))
    assert (choose_exit_code(ours), choose_exit_code(theirs)) == (2, 1)
    assert "--debug" in format_message(theirs)


# --- answers ---------------------------------------------------------------------------------


def test_describe_prints_every_axis_with_its_condition(capsys):
    text = answered(capsys, "describe", "margin_softmax")
    assert text.splitlines()[2].split() == ["axis", "range", "asked", "when", "log"] or (
        text.splitlines()[2].split()[0] == "axis"
    )
    assert "loss = " in text


@pytest.mark.usefixtures("night")
def test_the_list_has_state_trials_and_best(capsys):
    row = answered(capsys, "list").splitlines()[1].split()
    assert row[:3] == ["night", "quickstart", "interrupted"]
    assert row[3:7] == ["3/9", "20.00", "%", "t0002"]


@pytest.mark.usefixtures("night")
def test_status_fits_on_a_screen(capsys):
    text = answered(capsys, "status", "night")
    assert len(text.splitlines()) <= 20
    assert "interrupted" in text
    assert "spksearch launch quickstart --name night" in text


@pytest.mark.usefixtures("night")
def test_trials_are_sorted_best_first_or_by_a_column(capsys):
    first = [line.split()[0] for line in answered(capsys, "trials", "night").splitlines()]
    assert first == ["trial", "t0002", "t0001", "t0003"]
    lines = answered(capsys, "trials", "night", "--sort", "trial").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["t0001", "t0002", "t0003"]


@pytest.mark.usefixtures("night")
@pytest.mark.usefixtures("night")
def test_show_draws_the_epochs_into_a_file(capsys, tmp_path):
    picture = tmp_path / "t0002.png"
    assert run(["show", "night", "t0002", "--plot", str(picture)]) == 0
    assert str(picture) in capsys.readouterr().err
    assert picture.read_bytes()[:4] == b"\x89PNG"
    code, said = failed(capsys, "show", "night", "t0002", "--plot", "t0002.svg")
    assert (code, "a PNG is written" in said) == (2, True)


@pytest.mark.usefixtures("night")
def test_show_prints_config_curve_checkpoint_and_commands(capsys, home):
    text = answered(capsys, "show", "night", "t0002")
    for part in (
        "loss: kind=aam_softmax",
        "different from the default config",
        "epoch  dev EER",
        f"{home}/night/trials/t0002/epoch-2",
        "spksearch promote night --trial t0002",
    ):
        assert part in text


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


def test_json_of_an_empty_home_is_an_empty_list(capsys):
    assert json.loads(answered(capsys, "list", "--json"))["searches"] == []


def test_an_error_leaves_stdout_empty_under_json(capsys):
    assert failed(capsys, "status", "nope", "--json")[0] == 6


@pytest.mark.usefixtures("night")
def test_without_a_terminal_there_is_no_escape_sequence(capsys):
    for line in (["list"], ["status", "night"], ["show", "night", "t0002"]):
        assert "\x1b" not in answered(capsys, *line)


def test_the_version_is_printed(capsys):
    assert answered(capsys, "--version").startswith("spksearch ")


# --- a corpus --------------------------------------------------------------------------------


@pytest.fixture
def speech(tmp_path):
    """Six speakers with four seconds of noise each."""
    import numpy as np
    import soundfile

    folder = tmp_path / "speech"
    rng = np.random.default_rng(0)
    for speaker in "abcdef":
        (folder / "wav" / speaker).mkdir(parents=True)
        for number in range(4):
            path = folder / "wav" / speaker / f"{number}.wav"
            soundfile.write(path, rng.normal(0, 0.1, 16000), 16000, subtype="PCM_16")
    return folder


def test_split_writes_lists_once_and_check_counts_them(capsys, speech):
    assert "2 speakers in dev" in answered(capsys, "corpus", "split", str(speech))
    counts = json.loads(answered(capsys, "corpus", "check", str(speech), "--json"))
    assert counts["schema"] == "spksearch.corpus/1"
    assert counts["speakers"] == {"train": 2, "dev": 2, "test": 2}
    assert counts["seconds"]["train"] == pytest.approx(8)
    code, said = failed(capsys, "corpus", "split", str(speech))
    assert code == 2
    assert "there already" in said


def test_check_names_the_file_that_cannot_be_read_and_exits_2(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    (speech / "wav" / "a" / "0.wav").write_bytes(b"")
    assert run(["corpus", "check", str(speech)]) == 2
    out, err = capsys.readouterr()
    assert "wav/a/0.wav" in out
    assert "1 of 24" in err


def test_packing_twice_gives_the_same_store(capsys, speech):
    answered(capsys, "corpus", "split", str(speech))
    first = answered(capsys, "corpus", "pack", str(speech))
    assert Path(first.strip(), "audio.i16").is_file()
    assert answered(capsys, "corpus", "pack", str(speech)) == first


def test_a_home_that_cannot_be_written_exits_3(capsys, speech, tmp_path, monkeypatch):
    answered(capsys, "corpus", "split", str(speech))
    blocked = tmp_path / "file"
    blocked.touch()  # root may write everywhere, but a file is no folder even for root
    monkeypatch.setenv("SPKSEARCH_HOME", str(blocked / "home"))
    assert failed(capsys, "corpus", "pack", str(speech))[0] == 3


def test_a_home_at_a_uri_exits_3_and_makes_no_folder_of_that_name(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPKSEARCH_HOME", "s3://key:hunter2@bucket/runs")
    code, said = failed(capsys, "launch", "quickstart", "--corpus", "nowhere")
    assert code == 3
    assert "SPKSEARCH_HOME is a folder" in said
    assert "hunter2" not in said
    assert list(tmp_path.iterdir()) == []


# --- verbs that others carry out -------------------------------------------------------------


@pytest.fixture
def handed_on(monkeypatch):
    """Stands in for what a verb calls, and keeps what it was called with."""
    calls = []

    def replace(where: str, result: object) -> list:
        def called(*arguments, **options):
            calls.append((arguments, options))
            return result

        monkeypatch.setattr(where, called)
        return calls

    return replace


def test_launch_hands_on_what_was_typed_and_leaves_the_rest_to_the_search(
    capsys, handed_on, tmp_path
):
    from search.launch.settings import LaunchRequest
    from search.launch.summary import LaunchOutcome

    calls = handed_on("search.launch.launch.launch", LaunchOutcome("mine", "finished", ["a line"]))
    line = ["launch", "triplet", "--corpus", str(tmp_path), "--name", "mine", "--trials", "24"]
    line += ["--dev-condition", "mismatched", "--rule", "stopping", "--gpus-per-trial", "0.5"]
    assert answered(capsys, *line) == "a line\n"
    assert calls[0][0][0] == LaunchRequest(
        space="triplet",
        corpus=tmp_path,
        name="mine",
        trials=24,
        dev_condition="mismatched",
        rule="stopping",
        gpus_per_trial=0.5,
    )


def test_a_launch_with_a_problem_answers_first_and_exits_with_the_problems_code(
    capsys, handed_on, tmp_path
):
    from search.launch.summary import LaunchOutcome

    problem = GateNotMet("more than 2 of its trials failed")
    handed_on("search.launch.launch.launch", LaunchOutcome("mine", "finished", ["a line"], problem))
    line = ["launch", "triplet", "--corpus", str(tmp_path), "--max-failed", "2"]
    assert run(line) == 5
    captured = capsys.readouterr()
    assert captured.out == "a line\n"
    assert "more than 2 of its trials failed" in captured.err


def test_a_search_that_is_there_goes_on_without_naming_its_corpus(capsys, handed_on, night):
    from search.launch.summary import LaunchOutcome

    assert night.is_file()
    calls = handed_on("search.launch.launch.launch", LaunchOutcome("night", "finished", []))
    answered(capsys, "launch", "quickstart", "--name", "night")
    assert calls[0][0][0].corpus == Path("/data/speech")


def test_promote_takes_the_best_trial_and_the_alias_candidate(capsys, handed_on):
    calls = handed_on("search.promotion.promote.promote", None)
    handed_on("search.promotion.promote.format_summary", ["EER 3 %"])
    assert answered(capsys, "promote", "night") == "EER 3 %\n"
    options = calls[0][1]
    assert (options["trial"], options["model"], options["alias"]) == (None, None, "candidate")


def test_evaluate_is_clean_unless_told_otherwise(capsys, handed_on):
    calls = handed_on("search.evaluation.evaluate.evaluate", None)
    handed_on("search.evaluation.evaluate.format_summary", ["EER 3 %"])
    answered(capsys, "evaluate", "night/t0002", "--corpus", "c", "--pairs", "p.txt")
    for condition in CONDITIONS:
        line = ["m", "--corpus", "c", "--pairs", "p.txt", "--condition", condition]
        answered(capsys, "evaluate", *line)
    assert [call[1]["condition"] for call in calls if call[1]] == ["clean", *CONDITIONS]


def test_a_search_can_be_judged_in_every_condition(capsys, handed_on):
    from search.launch.summary import LaunchOutcome

    calls = handed_on("search.launch.launch.launch", LaunchOutcome("mine", "finished", []))
    for condition in CONDITIONS:
        answered(capsys, "launch", "triplet", "--corpus", "x", "--dev-condition", condition)
    assert [call[0][0].dev_condition for call in calls] == [*CONDITIONS]


def test_ui_hands_on_the_port(capsys, handed_on):
    calls = handed_on("search.tracking.ui.serve", None)
    answered(capsys, "ui", "night", "--port", "5001")
    assert calls[0][0] == ("night",)
    assert calls[0][1]["port"] == 5001


def test_the_demo_runs_in_the_folder_it_is_given(capsys, handed_on, tmp_path):
    calls = handed_on("search.cli.demo.run_demo", ["done"])
    assert answered(capsys, "demo", "--dir", str(tmp_path)) == "done\n"
    assert calls[0][0][0] == tmp_path


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
    assert [call[0][1] for call in calls] == asked
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
    assert said.startswith("entry 116 with seed=3 is tried next in search night\nit does not run")
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
