"""Items come in order, a bounded way ahead, and no thread is left behind."""

import threading
import time

import pytest

from spkmodel.data.prefetch import Prefetcher


def prefetching():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_prefetching_keeps_the_order_and_runs_a_bounded_way_ahead():
    drawn = []

    def source():
        for item in range(50):
            drawn.append(item)
            yield item

    with Prefetcher(source(), ahead=3) as items:
        got = []
        for item in items:
            time.sleep(0.001)
            assert len(drawn) <= item + 5
            got.append(item)
    assert got == list(range(50))
    assert prefetching() == []


def test_an_exception_in_the_background_is_raised_in_its_turn():
    def source():
        yield 1
        raise RuntimeError("the disk is gone")

    got = []
    with pytest.raises(RuntimeError, match="the disk is gone"), Prefetcher(source(), 2) as items:
        got.extend(items)
    assert prefetching() == []


def test_an_endless_source_is_stopped_on_leaving():
    def source():
        while True:
            yield 0

    with Prefetcher(source(), ahead=2) as items:
        next(iter(items))
    assert prefetching() == []
