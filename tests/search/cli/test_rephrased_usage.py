"""What a number must be is said in our own words."""

import pytest

from search.cli.app import run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["launch", "quickstart", "--trials", "0"], "--trials must be at least 1"),
        (["budget", "x", "--trials", "-3"], "--trials must be at least 1"),
        (["launch", "quickstart", "--trials", "many"], "--trials takes a whole number"),
        (["launch", "quickstart", "--hours", "long"], "--hours takes a number"),
        (["ui", "x", "--port", "70000"], "--port must be at most 65535"),
    ],
)
def test_a_number_out_of_its_range_is_told_with_what_is_right(words, said, capsys):
    assert run(words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Input should" not in told
