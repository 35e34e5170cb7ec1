"""Two configs are compared key by key."""

from search.core.config_differences import find_differences, flatten


def test_differences_name_keys_that_only_one_side_has():
    assert find_differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": 3}) == [
        ("a.c", 2, None),
        ("d", None, 3),
    ]


def test_a_flat_config_counts_the_parts_of_a_list_and_keeps_other_lists_whole():
    config = {"loss": {"terms": [{"weight": 1.0}, {"weight": 2.0}]}, "channels": [32, 64]}
    assert flatten(config) == {
        "loss.terms.0.weight": 1.0,
        "loss.terms.1.weight": 2.0,
        "channels": [32, 64],
    }
