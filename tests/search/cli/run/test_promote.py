"""What `promote` hands on."""

from tests.support.command_line import answered


def test_promote_takes_the_best_trial_and_the_alias_candidate(capsys, handed_on):
    calls = handed_on("search.promotion.promote.promote", None)
    handed_on("search.promotion.promote.format_summary", ["EER 3 %"])
    assert answered(capsys, "promote", "night") == "EER 3 %\n"
    options = calls[0][1]
    assert (options["trial"], options["model"], options["alias"]) == (None, None, "candidate")
