"""What `evaluate` hands on."""

from spkmodel.core.condition_names import CONDITIONS
from tests.support.command_line import answered


def test_evaluate_is_clean_unless_told_otherwise(capsys, handed_on):
    calls = handed_on("search.evaluation.evaluate.evaluate", None)
    handed_on("search.evaluation.evaluate.format_summary", ["EER 3 %"])
    answered(capsys, "evaluate", "night/t0002", "--corpus", "c", "--pairs", "p.txt")
    for condition in CONDITIONS:
        line = ["m", "--corpus", "c", "--pairs", "p.txt", "--condition", condition]
        answered(capsys, "evaluate", *line)
    assert [call[1]["condition"] for call in calls if call[1]] == ["clean", *CONDITIONS]
