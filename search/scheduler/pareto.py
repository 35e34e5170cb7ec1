"""Rank points by several objectives at once; every objective is minimised.

One point dominates another if it is nowhere higher and somewhere lower. The front consists of the
points that no other dominates.
"""

from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name")
Objectives = tuple[float, ...]


def find_front(points: Mapping[Name, Objectives]) -> list[Name]:
    """Return the points that no other dominates, by the first objective; of equals all."""
    found: list[Name] = []
    # In this order, all points that dominate a point come before it, and so does a member of the
    # front that dominates it. So a comparison with the front found so far is enough.
    for name in sorted(points, key=lambda name: points[name]):
        if not any(_dominates(points[other], points[name]) for other in found):
            found.append(name)
    return found


def sort_by_front(points: Mapping[Name, Objectives]) -> list[Name]:
    """Return all points, front by front; the first points of a front are spread over all of it.

    Each front consists of the points that only those of earlier fronts dominate (Goldberg 1989). In
    each, the point that is best by the first objective comes first, then always the one that is
    farthest from those before. Distance is counted in positions along the front, so that no
    objective's unit matters (as the epsilon-net of multi-objective ASHA; Schmucker et al. 2021,
    arXiv:2106.12639).
    """
    found: list[Name] = []
    left = dict(points)
    while left:
        here = find_front(left)
        found += [here[position] for position in _spread_positions(len(here))]
        left = {name: point for name, point in left.items() if name not in set(here)}
    return found


def _dominates(first: Objectives, second: Objectives) -> bool:
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


def _spread_positions(count: int) -> list[int]:
    """Return 0 to count - 1, each as far as possible from those before; of equals the lowest."""
    taken: list[int] = [0] if count else []
    while len(taken) < count:
        free = [position for position in range(count) if position not in taken]
        taken.append(max(free, key=lambda position: min(abs(position - other) for other in taken)))
    return taken
