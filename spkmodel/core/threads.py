"""Work on items by threads, and give the results back in the order of the items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from spkmodel.core.cores import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield `function` of each item in order; at most four results a thread wait to be taken.

    It pays where the function leaves Python's lock, as the transforms of NumPy and torch do.

    Args:
        function: called from several threads at once.
        items: taken one by one, from the caller's thread.
        threads: as many as this process may use cores by default; with one, none is started.

    Raises:
        Exception: what the function raised, when its result would have been next.
    """
    threads = usable_cores() if threads is None else threads
    if threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # After an error, or where nobody takes the rest: what has not begun is not begun.
        pool.shutdown(cancel_futures=True)
