"""Fronts and their order, against their definitions."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from search.scheduler import pareto

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def _named(points):
    return dict(enumerate((float(x), float(y)) for x, y in points))


@given(POINTS)
def test_the_front_is_what_nothing_dominates(points):
    named = _named(points)
    front = set(pareto.find_front(named))
    for name, (x, y) in named.items():
        beaten = any(a <= x and b <= y and (a, b) != (x, y) for a, b in named.values())
        assert (name in front) is not beaten


@given(POINTS)
def test_all_are_ordered_once_and_nobody_stands_before_one_that_dominates_it(points):
    named = _named(points)
    order = pareto.sort_by_front(named)
    assert sorted(order) == sorted(named)
    for before, after in itertools.combinations(order, 2):
        assert not pareto._dominates(named[after], named[before])


def test_the_order_does_not_depend_on_that_of_the_points():
    points = {name: (float(name), float(20 - name)) for name in range(20)}
    shuffled = list(points.items())
    random.Random(1).shuffle(shuffled)
    assert pareto.sort_by_front(dict(shuffled)) == pareto.sort_by_front(points)


def test_the_first_of_a_front_are_spread_over_it():
    points = {"low": (0.1, 9e6), "a": (0.2, 1e6), "b": (0.3, 5e5), "c": (0.4, 2e4), "few": (0.5, 1)}
    assert pareto.sort_by_front(points) == ["low", "few", "b", "a", "c"]


def test_with_one_aim_it_is_the_order_of_that_aim():
    points = {"b": (0.2,), "a": (0.1,), "c": (0.3,)}
    assert pareto.sort_by_front(points) == ["a", "b", "c"]
    assert pareto.find_front(points) == ["a"]
