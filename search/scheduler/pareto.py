"""Several aims at once: who is better than whom, and whose turn it is. Every aim is to be low.

One point dominates another if it is nowhere higher and somewhere lower. The front is what nothing
dominates.
"""

from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name")
Aims = tuple[float, ...]


def front(points: Mapping[Name, Aims]) -> list[Name]:
    """What nothing dominates, by the first aim; equals are all there."""
    found: list[Name] = []
    # Whatever dominates a point stands before it in this order, and so does a member of the front
    # that dominates it.
    for name in sorted(points, key=lambda name: points[name]):
        if not any(_dominates(points[other], points[name]) for other in found):
            found.append(name)
    return found


def ordered(points: Mapping[Name, Aims]) -> list[Name]:
    """All, front by front; within a front so that any beginning of it is spread over it.

    The fronts are what remains after the fronts before (Goldberg 1989). In each comes first what is
    best by the first aim, then always what is farthest from those before, counted in places along
    the front, so that no aim's unit matters (as the epsilon-net of multi-objective ASHA; Schmucker
    et al. 2021, arXiv:2106.12639).
    """
    found: list[Name] = []
    left = dict(points)
    while left:
        here = front(left)
        found += [here[place] for place in _spread(len(here))]
        left = {name: aims for name, aims in left.items() if name not in set(here)}
    return found


def _dominates(one: Aims, other: Aims) -> bool:
    return one != other and all(mine <= its for mine, its in zip(one, other, strict=True))


def _spread(count: int) -> list[int]:
    """Places 0 to count - 1, each as far as can be from those before; of equals the lowest."""
    taken: list[int] = [0] if count else []
    while len(taken) < count:
        free = [place for place in range(count) if place not in taken]
        taken.append(max(free, key=lambda place: min(abs(place - each) for each in taken)))
    return taken
