"""Work by threads comes back in order, and no more of it than is taken."""

import threading
import time

import pytest

from spkmodel.core.threads import map_in_order


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(threads):
    def later_first(number: int) -> int:
        time.sleep(0.002 * (3 - number % 3))
        return number**2

    assert list(map_in_order(later_first, range(20), threads)) == [n**2 for n in range(20)]


def test_two_items_are_worked_on_at_once():
    both = threading.Barrier(2, timeout=30)
    assert sorted(map_in_order(lambda _: both.wait(), range(2), 2)) == [0, 1]


def test_items_are_taken_as_results_are():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_in_order(lambda number: number, items(), 2)
    assert next(results) == 0
    assert len(taken) == 8
    results.close()
    assert len(taken) == 8


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_place(threads):
    results = map_in_order(lambda number: 1 / (3 - number), range(10), threads)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
