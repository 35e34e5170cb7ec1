"""What `ui` hands on."""

from tests.support.command_line import answered


def test_ui_hands_on_the_port(capsys, handed_on):
    calls = handed_on("search.tracking.ui.serve", None)
    answered(capsys, "ui", "night", "--port", "5001")
    assert calls[0][0] == ("night",)
    assert calls[0][1]["port"] == 5001
