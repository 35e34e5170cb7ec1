"""What `promote` hands on."""

from types import SimpleNamespace

from tests.support.command_line import answered


def test_promote_leaves_trial_model_and_alias_to_what_it_calls(capsys, handed_on):
    calls = handed_on("search.promotion.promote.promote", SimpleNamespace(problem=None))
    handed_on("search.promotion.promote.format_summary", ["EER 3 %"])
    assert answered(capsys, "promote", "night") == "EER 3 %\n"
    options = calls[0][1]
    assert (options["trial"], options["model"], options["alias"]) == (None, None, None)
    assert options["contenders"] == ()
