"""Runs a command line, and returns what it printed."""

from search.cli.app import run


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
