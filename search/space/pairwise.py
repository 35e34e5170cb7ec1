"""Combinations of choices that leave no pair of them untried, where all would be too many.

Pairwise testing: every two choices that can meet do meet in some combination, and a number drawn
at random come on top. Choices are found as they are asked for, since an axis may be asked on a
condition. A fault that takes three choices or more to show may be missed; of those that show in one
of a hundred combinations the random ones find all but one in e**5.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

Plan = dict[str, int]
"""By axis, the index of its choice."""

Met = Mapping[str, tuple[int, int]]
"""What a run asked: by axis, the index of the choice it was given, and how many there are."""

_Pair = tuple[str, int, str, int]

RANDOM = 500
"""Combinations beside those that cover the pairs."""


def plans(run: Callable[[Plan], Met], seed: int = 0) -> Iterator[Plan]:
    """Plans that cover, each already run; which come depends on what `run` says was asked."""
    cover = _Cover(random.Random(seed))
    plan: Plan = {}
    cover.note(plan, run(plan))
    yield plan
    while (pair := cover.open_pair()) is not None:
        for plan in cover.attempts(pair):
            cover.note(plan, run(plan))
            yield plan
            if not cover.is_open(pair):
                break
        cover.give_up(pair)
    for _ in range(RANDOM):
        plan = cover.drawn()
        cover.note(plan, run(plan))
        yield plan


class _Cover:
    """Which pairs have met, and which are still to meet."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sizes: dict[str, int] = {}
        self._witness: dict[tuple[str, str], Plan] = {}
        """A plan with which two axes are both asked."""
        self._open: dict[_Pair, None] = {}
        self._done: set[_Pair] = set()

    def note(self, plan: Plan, met: Met) -> None:
        """Take down what a run asked."""
        given = {name: index for name, (index, _) in met.items()}
        for name, (_, size) in met.items():
            self._sizes.setdefault(name, size)
        for one, other in combinations(given, 2):
            if (one, other) not in self._witness and (other, one) not in self._witness:
                self._witness[one, other] = plan | given
                for i in range(self._sizes[one]):
                    for j in range(self._sizes[other]):
                        self._open.setdefault((one, i, other, j))
            for pair in (
                (one, given[one], other, given[other]),
                (other, given[other], one, given[one]),
            ):
                self._open.pop(pair, None)
                self._done.add(pair)

    def open_pair(self) -> _Pair | None:
        """The oldest that has not met."""
        return next(iter(self._open), None)

    def is_open(self, pair: _Pair) -> bool:
        """Whether it still has to meet."""
        return pair in self._open

    def give_up(self, pair: _Pair) -> None:
        """Of two axes that exclude each other at these choices."""
        self._open.pop(pair, None)

    def attempts(self, pair: _Pair) -> Iterator[Plan]:
        """Plans that should make a pair meet: with many others at once, then as it is known to."""
        one, i, other, j = pair
        yield self._with_most(one, i, other, j)
        yield self._witness[one, other] | {one: i, other: j}

    def drawn(self) -> Plan:
        """Any."""
        return {name: self._chance.randrange(size) for name, size in self._sizes.items()}

    def _with_most(self, one: str, i: int, other: str, j: int) -> Plan:
        """The two, and each other axis at the choice that meets most of what is still open."""
        plan = {one: i, other: j}
        names: Sequence[str] = [name for name in self._sizes if name not in plan]
        for name in self._chance.sample(names, len(names)):
            choices = self._chance.sample(range(self._sizes[name]), self._sizes[name])
            plan[name] = max(choices, key=lambda choice: self._gain(plan, name, choice))
        return plan

    def _gain(self, plan: Plan, name: str, choice: int) -> int:
        return sum(
            (name, choice, other, index) in self._open or (other, index, name, choice) in self._open
            for other, index in plan.items()
        )
