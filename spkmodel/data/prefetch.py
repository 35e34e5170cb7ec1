"""Draw from an iterable in a background thread, a few items ahead of its user."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Draws from an iterable in one background thread, a few items ahead.

    Iterated once. An exception there is raised here, in its turn. Leaving the `with` block early
    stops the thread after the item it is at.
    """

    def __init__(self, items: Iterable[Item], ahead: int) -> None:
        self._items = items
        self._ready: queue.Queue[tuple[Item] | BaseException | None] = queue.Queue(max(ahead, 2))
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="prefetch", daemon=True)

    def __enter__(self) -> "Prefetcher[Item]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closing.set()
        # The thread may wait for room in the queue; it is emptied until the thread ends.
        while self._thread.is_alive():
            while not self._ready.empty():
                self._ready.get()
            self._thread.join(0.01)

    def __iter__(self) -> Iterator[Item]:
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    def _draw(self) -> None:
        try:
            for item in self._items:
                self._ready.put((item,))
                if self._is_closing.is_set():
                    return
            self._ready.put(None)
        except BaseException as error:  # noqa: BLE001  it is raised where items are awaited
            self._ready.put(error)
