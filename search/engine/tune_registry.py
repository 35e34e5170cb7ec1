"""What Tune knows of the trainable, asked of Ray's head once and not at every segment.

Left alone, Tune asks two or three times a segment whether there is such a trainable and what it is,
waits for the answer, and unpickles it. While a search runs that does not change.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.registry import TRAINABLE_CLASS, _Registry


@contextmanager
def asked_once() -> Iterator[None]:
    """While the context lasts, what the head has answered of a trainable is kept."""
    contains, get = _Registry.contains, _Registry.get
    known: dict[str, Any] = {}

    def kept_get(registry: Any, category: str, key: str) -> Any:
        if category != TRAINABLE_CLASS:
            return get(registry, category, key)
        if key not in known:
            known[key] = get(registry, category, key)
        return known[key]

    def kept_contains(registry: Any, category: str, key: str) -> bool:
        is_known = category == TRAINABLE_CLASS and key in known
        return is_known or bool(contains(registry, category, key))

    _Registry.contains, _Registry.get = kept_contains, kept_get
    try:
        yield
    finally:
        _Registry.contains, _Registry.get = contains, get
