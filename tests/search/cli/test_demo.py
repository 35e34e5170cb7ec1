"""What `demo` hands on."""

from tests.support.command_line import answered


def test_the_demo_runs_in_the_folder_it_is_given(capsys, handed_on, tmp_path):
    calls = handed_on("search.cli.demo.run_demo", ["done"])
    assert answered(capsys, "demo", "--dir", str(tmp_path)) == "done\n"
    assert calls[0][0][0] == tmp_path
