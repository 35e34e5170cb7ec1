"""What `launch` hands on, and what it refuses."""

from pathlib import Path

from search.cli.app import run
from search.core.errors import (
    GateNotMet,
)
from spkmodel.core.condition_names import CONDITIONS
from tests.support.command_line import answered, failed


def test_a_new_search_without_a_corpus_exits_2_and_says_what_is_missing(capsys):
    code, said = failed(capsys, "launch", "triplet")
    assert code == 2
    assert "--corpus DIR" in said


def test_a_home_at_a_uri_exits_3_and_makes_no_folder_of_that_name(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPKSEARCH_HOME", "s3://key:hunter2@bucket/runs")
    code, said = failed(capsys, "launch", "quickstart", "--corpus", "nowhere")
    assert code == 3
    assert "SPKSEARCH_HOME is a folder" in said
    assert "hunter2" not in said
    assert list(tmp_path.iterdir()) == []


def test_launch_hands_on_what_was_typed_and_leaves_the_rest_to_the_search(
    capsys, handed_on, tmp_path, monkeypatch
):
    from search.launch.settings import LaunchRequest
    from search.launch.summary import LaunchOutcome

    # This machine need have no GPU.
    monkeypatch.setattr("search.launch.resources.require_room_here", lambda _: None)
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


def test_a_search_can_be_judged_in_every_condition(capsys, handed_on):
    from search.launch.summary import LaunchOutcome

    calls = handed_on("search.launch.launch.launch", LaunchOutcome("mine", "finished", []))
    for condition in CONDITIONS:
        answered(capsys, "launch", "triplet", "--corpus", "x", "--dev-condition", condition)
    assert [call[0][0].dev_condition for call in calls] == [*CONDITIONS]
