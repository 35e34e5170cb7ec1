"""What `promote` hands on."""

from types import SimpleNamespace

from search.cli.app import run
from search.core.errors import GateNotMet
from tests.support.command_line import answered, failed


def test_promote_leaves_trial_model_and_alias_to_the_defaults(capsys, handed_on):
    calls = handed_on("search.promotion.promote.promote", SimpleNamespace(problem=None))
    handed_on("search.promotion.promote.format_summary", ["EER 3 %"])
    assert answered(capsys, "promote", "night") == "EER 3 %\n"
    options = calls[0][1]
    assert (options["trial"], options["model"], options["alias"]) == (None, None, None)
    assert options["contenders"] == ()


def test_a_gate_that_is_not_met_shows_the_figures_and_exits_5(capsys, handed_on):
    problem = GateNotMet("alias 'champion' stays where it is")
    calls = handed_on("search.promotion.promote.promote", SimpleNamespace(problem=problem))
    handed_on("search.promotion.promote.format_summary", ["EER 3 %"])
    assert run(["promote", "night", "--if-better-than", "champion", "--force"]) == 5
    captured = capsys.readouterr()
    assert captured.out == "EER 3 %\n"
    assert "stays where it is" in captured.err
    assert (calls[0][1]["if_better_than"], calls[0][1]["force"]) == ("champion", True)


def test_retraining_options_without_retrain_or_with_a_trial_are_refused(capsys):
    assert failed(capsys, "promote", "night", "--top", "3")[0] == 2
    assert (
        "leave out --trial"
        in failed(capsys, "promote", "night", "--retrain", "--trial", "t0001")[1]
    )
