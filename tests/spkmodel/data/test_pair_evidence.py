"""Pairs that are no evidence of their own are found with their lines."""

from spkmodel.data.lists import Pair
from spkmodel.data.pair_evidence import (
    describe_pairs_without_evidence,
    find_repeated_pairs,
    find_self_pairs,
)

PAIRS = [
    Pair(True, "a/1", "a/2"),
    Pair(True, "a/1", "a/1"),
    Pair(False, "a/1", "b/1"),
    Pair(False, "b/1", "a/1"),
    Pair(True, "a/1", "a/2"),
    Pair(True, "a/1", "a/1"),
]


def test_an_utterance_with_itself_and_a_pair_again_are_found_by_line():
    assert find_self_pairs(PAIRS) == [2, 6]
    assert find_repeated_pairs(PAIRS) == [4, 5, 6]


def test_a_warning_counts_them_and_names_the_first_lines():
    first, second = describe_pairs_without_evidence(PAIRS, "trials.txt")
    assert first.startswith("trials.txt: 2 of 6 lines pair an utterance with itself")
    assert "(line 4, 5, 6)" in second
    many = describe_pairs_without_evidence(PAIRS[1:2] * 30, "t")
    assert "(line 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)" in many[0]


def test_a_list_of_different_pairs_has_no_warning():
    assert describe_pairs_without_evidence([PAIRS[0], PAIRS[2]], "t") == []
